// These tests hold what is installed against the program: the unit, the image and the
// compose file name settings, commands and flags that exist, and syncd works under the
// limits that they set. What a machine cannot try is said in the output of `go test -v`,
// in a line that begins with NOT RUN.
package deploy_test

import (
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/magento-copernica/syncd/config"
)

// binary is syncd, built as the Makefile builds it but for -trimpath, which would
// compile every package a second time.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "syncd-deploy-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(folder) }() // it is temporary
		binary = filepath.Join(folder, "syncd")
		if err := readSources(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		build := exec.CommandContext(context.Background(), "go", "build", "-ldflags", "-s -w", "-o", binary, "../cmd/syncd")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build syncd: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// readSources opens what the program is made of: the test cache does not see what the
// build reads, and would repeat an old verdict over a new program.
func readSources() error {
	root := os.DirFS("..")
	return fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "testdata"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"), path == "go.mod":
			_, err = fs.ReadFile(root, path)
		}
		return err
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notRun says what this machine could not try.
func notRun(t *testing.T, what, why string) {
	t.Helper()
	t.Logf("NOT RUN: %s: %s", what, why)
}

// files are what an operator copies or reads, by path.
var files = []string{
	"systemd/syncd@.service", "systemd/syncd@.timer", "systemd/timer.conf", "systemd/env.example", "systemd/syncd-at",
	"Dockerfile", "../docker-compose.yml", "../docs/install.md",
}

var variable = regexp.MustCompile(`SYNCD_[A-Z_]*[A-Z]`)

// TestSettingsExist keeps files from naming a setting that the program refuses.
func TestSettingsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, v := range config.Variables() {
		known[v.Name] = true
		known[v.Name+"_FILE"] = v.Secret
	}
	for _, name := range files {
		for _, v := range variable.FindAllString(read(t, name), -1) {
			if !known[v] {
				t.Errorf("%s names %s, which is no setting", name, v)
			}
		}
	}
}

// TestCommandsExist keeps files from calling a command or flag that the program does
// not have.
func TestCommandsExist(t *testing.T) {
	t.Parallel()
	lines := []string{}
	for line := range strings.Lines(read(t, "systemd/syncd@.service") + read(t, "systemd/timer.conf")) {
		if command, ok := strings.CutPrefix(line, "ExecStart=/usr/local/bin/syncd "); ok {
			lines = append(lines, command)
		}
	}
	for name, service := range composed(t).Services {
		if len(service.Command) > 0 {
			lines = append(lines, strings.Join(service.Command, " "))
		}
		if test := service.Healthcheck.Test; len(test) > 1 && test[1] == "syncd" {
			lines = append(lines, strings.Join(test[2:], " "))
		} else if name != "postgres" && len(test) > 0 {
			t.Errorf("the healthcheck of %s calls %q, and the image holds nothing but syncd", name, test)
		}
	}
	docker := read(t, "Dockerfile")
	for _, m := range regexp.MustCompile(`(?m)CMD \["(?:syncd", ")?(.*)"\]$`).FindAllStringSubmatch(docker, -1) {
		lines = append(lines, strings.ReplaceAll(m[1], `", "`, " "))
	}
	inDocs := regexp.MustCompile(`(?m)^(?:sudo )?(?:syncd|syncd-at \S+|bin/syncd|docker compose run --rm syncd|docker compose exec syncd syncd) +([a-z][^#|\n]*)`)
	for _, block := range regexp.MustCompile("(?ms)^ *```sh.*?^ *```").FindAllString(read(t, "../docs/install.md"), -1) {
		for _, m := range inDocs.FindAllStringSubmatch(regexp.MustCompile(`(?m)^ +`).ReplaceAllString(block, ""), -1) {
			lines = append(lines, m[1])
		}
	}
	if len(lines) < 12 {
		t.Errorf("only %d command lines were found: %q", len(lines), lines)
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		words := strings.Fields(line)
		call := []string{words[0]}
		if slices.Contains([]string{"emulate", "connect", "claims"}, words[0]) && len(words) > 1 {
			call = words[:2]
		}
		help, err := exec.CommandContext(t.Context(), binary, append(call, "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("syncd %s: there is no such command: %s", line, help)
			continue
		}
		for _, word := range words[1:] {
			if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "--") && !regexp.MustCompile(flag+`\b`).Match(help) {
				t.Errorf("syncd %s: there is no flag %s", line, flag)
			}
		}
	}
}

// TestExampleNamesItsSecrets holds that a credential is called as its variable is.
func TestExampleNamesItsSecrets(t *testing.T) {
	t.Parallel()
	unit, found := read(t, "systemd/syncd@.service"), 0
	if !strings.Contains(unit, "LoadCredential=secret:/etc/syncd/%i/secrets\nWorkingDirectory=-%d\n") {
		t.Error("the unit does not load the folder of secrets into its working directory")
	}
	for _, m := range regexp.MustCompile(`(?m)^#?SYNCD_([A-Z_]+)_FILE=(.*)$`).FindAllStringSubmatch(read(t, "systemd/env.example"), -1) {
		if m[1] == "TOMBSTONE" { // no secret: a file that is written to
			continue
		}
		found++
		if want := "secret_" + strings.ToLower(m[1]); m[2] != want {
			t.Errorf("env.example: SYNCD_%s_FILE is %s, want %s", m[1], m[2], want)
		}
	}
	if found < 5 {
		t.Errorf("env.example names %d secrets", found)
	}
	for _, v := range config.Variables() {
		if v.Secret && regexp.MustCompile(`(?m)^#?`+v.Name+`=`).MatchString(read(t, "systemd/env.example")) {
			t.Errorf("env.example has the secret %s itself", v.Name)
		}
	}
}

// TestBinaryIsStaticAndSmall holds what the image, an empty file system, takes for granted.
func TestBinaryIsStaticAndSmall(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	const most = 30_000_000
	t.Logf("syncd is %d bytes", info.Size())
	if info.Size() >= most {
		t.Errorf("syncd is %d bytes, want less than %d", info.Size(), most)
	}
	if runtime.GOOS != "linux" {
		notRun(t, "whether the binary is static", "this is no Linux")
		return
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // only read from
	if libraries, err := file.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("syncd needs %q", libraries)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("syncd needs a dynamic loader")
		}
	}
}

// TestImageIsBuiltAsTheMakefileBuilds keeps the two builds alike.
func TestImageIsBuiltAsTheMakefileBuilds(t *testing.T) {
	t.Parallel()
	const flags = `build -buildvcs=auto -trimpath -ldflags '-s -w' -o `
	for _, name := range []string{"../Makefile", "Dockerfile"} {
		if !strings.Contains(read(t, name), flags) {
			t.Errorf("%s does not build with %s", name, flags)
		}
	}
	docker := read(t, "Dockerfile")
	for _, line := range []string{"FROM scratch\n", "\nUSER 65532:65532\n", "CGO_ENABLED=0", "--chown=65532:65532"} {
		if !strings.Contains(docker, line) {
			t.Errorf("the Dockerfile lacks %q", line)
		}
	}
}

// compose is what the tests look at in docker-compose.yml.
type compose struct {
	Services map[string]struct {
		Image       string
		Profiles    []string
		Command     []string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Restart     string
		NetworkMode string `yaml:"network_mode"`
		Environment map[string]string
		Secrets     []string
		Ports       []string
		Healthcheck struct {
			Test    []string
			Disable bool
		}
	}
	Secrets map[string]struct{ File string }
}

func composed(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(read(t, "../docker-compose.yml")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestImagesArePinned wants a full version of whatever is fetched.
func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z]+:\d+\.\d+`)
	images := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
	for _, m := range images {
		if m[1] != "scratch" && !pinned.MatchString(m[1]) {
			t.Errorf("the Dockerfile starts from %s", m[1])
		}
	}
	for name, service := range composed(t).Services {
		if service.Image != "syncd:local" && !pinned.MatchString(service.Image) {
			t.Errorf("%s runs %s", name, service.Image)
		}
	}
	tool, _, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go"), " ")
	if want := "golang:" + strings.Join(strings.SplitN(tool, ".", 3)[:2], "."); !strings.HasPrefix(images[0][1], want) {
		t.Errorf("the image is built with %s, this machine with %s", images[0][1], tool)
	}
}

// TestComposeConfines holds what the compose file says of each container.
func TestComposeConfines(t *testing.T) {
	t.Parallel()
	c := composed(t)
	for _, name := range []string{"syncd", "postgres", "demo-shop", "demo-account", "demo-provision", "demo"} {
		s, ok := c.Services[name]
		demo := strings.HasPrefix(name, "demo")
		switch {
		case !ok:
			t.Errorf("there is no %s", name)
		case demo != slices.Equal(s.Profiles, []string{"demo"}):
			t.Errorf("%s has the profiles %q", name, s.Profiles)
		case !demo && s.Restart != "unless-stopped":
			t.Errorf("%s is not started again", name)
		case name != "postgres" && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"})):
			t.Errorf("%s may write to its image, or has capabilities", name)
		case !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}):
			t.Errorf("%s may gain privileges", name)
		case !s.Healthcheck.Disable && len(s.Healthcheck.Test) == 0:
			t.Errorf("%s has no healthcheck", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is reached from elsewhere at %s", name, port)
			}
		}
		for key, value := range s.Environment {
			secret, isFile := strings.CutPrefix(value, "/run/secrets/")
			switch {
			case !isFile:
			case !slices.Contains(s.Secrets, secret):
				t.Errorf("%s: %s names %s, which is not given to it", name, key, value)
			case c.Secrets[secret].File != "./deploy/secrets/"+secret:
				t.Errorf("the secret %s lies in %q", secret, c.Secrets[secret].File)
			case strings.HasPrefix(key, "SYNCD_") && key != "SYNCD_"+strings.ToUpper(secret)+"_FILE":
				t.Errorf("%s: %s names %s", name, key, value)
			}
		}
	}
	if demo := c.Services["demo"]; demo.NetworkMode != "service:demo-shop" || demo.Environment["SYNCD_SHOP"] != "demo" {
		t.Errorf("the demo's daemon does not share the emulators' loopback, or their settings: %+v", demo)
	}
}

// TestComposeConfig has docker read the file.
func TestComposeConfig(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput(); err != nil {
		notRun(t, "docker compose config, docker build, docker compose up", "no `docker compose` here: "+strings.TrimSpace(string(out)))
		return
	}
	composed(t) // the test cache must know the file
	notRun(t, "docker build, docker compose up", "tests start no containers and fetch no images")
	for _, profile := range [][]string{nil, {"--profile", "demo"}} {
		args := slices.Concat([]string{"compose", "-f", "../docker-compose.yml"}, profile, []string{"config", "--quiet"})
		if out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestSecretsStayOut holds that neither git nor an image takes the folder of secrets.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	if !strings.Contains(read(t, "secrets/.gitignore"), "\n*\n") {
		t.Error("git would take deploy/secrets")
	}
	if !strings.Contains(read(t, "../.dockerignore"), "\n/deploy/secrets/*\n") {
		t.Error("docker build would take deploy/secrets")
	}
	info, err := os.Stat("systemd/syncd-at")
	if err != nil || info.Mode()&fs.FileMode(0o111) == 0 {
		t.Errorf("syncd-at cannot be executed: %v", err)
	}
}
