package config

import (
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// masked is what is printed in place of a secret.
const masked = "(secret)"

// Secret is a value that must not be seen. No verb of fmt, no logger and no
// encoder prints it, wherever it stands; only [Secret.Reveal] returns it.
type Secret struct {
	// A pointer, since fmt cannot call the methods of unexported fields and would
	// print a string found in one.
	value *string
}

var (
	_ fmt.Formatter          = Secret{}
	_ fmt.GoStringer         = Secret{}
	_ slog.LogValuer         = Secret{}
	_ encoding.TextMarshaler = Secret{}
)

// NewSecret wraps a value; the empty string gives the zero Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether both hold the same value. It does not run in constant time.
func (s Secret) Equal(o Secret) bool { return s.Reveal() == o.Reveal() }

// String returns a mask, or nothing when there is no value.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return masked
}

// GoString returns a mask.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Format writes a mask whatever the verb; without it a wrong verb such as %d
// would print the value.
func (s Secret) Format(w fmt.State, verb rune) {
	if verb == 'v' && w.Flag('#') || verb == 'q' {
		_, _ = io.WriteString(w, s.GoString())
		return
	}
	_, _ = io.WriteString(w, s.String())
}

// LogValue returns a mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns a mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// EnvDecode implements the decoder of envconfig.
func (s *Secret) EnvDecode(value string) error {
	*s = NewSecret(value)
	return nil
}

// Budget is what one run may spend. A zero part is without limit.
type Budget struct {
	Records int
	Time    time.Duration
}

// IsZero reports whether b sets no limit at all.
func (b Budget) IsZero() bool { return b == Budget{} }

// String returns the form that EnvDecode reads.
func (b Budget) String() string {
	switch {
	case b.Records > 0 && b.Time > 0:
		return fmt.Sprintf("%d,%s", b.Records, b.Time)
	case b.Records > 0:
		return strconv.Itoa(b.Records)
	case b.Time > 0:
		return b.Time.String()
	default:
		return ""
	}
}

// EnvDecode implements the decoder of envconfig: "5000", "15m" or both with a comma.
func (b *Budget) EnvDecode(value string) error {
	const form = "write a number of records, a time, or both, such as 5000, 15m or 5000,15m"
	var out Budget
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		if n, err := strconv.Atoi(part); err == nil {
			if n <= 0 || out.Records != 0 {
				return malformed(quote(value) + "is not a budget: " + form)
			}
			out.Records = n
			continue
		}
		d, err := time.ParseDuration(part)
		if err != nil || d <= 0 || out.Time != 0 {
			return malformed(quote(value) + "is not a budget: " + form)
		}
		out.Time = d
	}
	*b = out
	return nil
}

// Zone is a time zone. The zero value is UTC.
type Zone struct{ location *time.Location }

// Location returns the zone for package time; never nil.
func (z Zone) Location() *time.Location {
	if z.location == nil {
		return time.UTC
	}
	return z.location
}

// String returns the zone's name.
func (z Zone) String() string { return z.Location().String() }

// Equal reports whether both are the same zone by name.
func (z Zone) Equal(o Zone) bool { return z.String() == o.String() }

// EnvDecode implements the decoder of envconfig. "Local" is refused: what is
// written to Copernica must not depend on the machine.
func (z *Zone) EnvDecode(value string) error {
	location, err := time.LoadLocation(value)
	if err != nil || value == "Local" {
		return malformed(fmt.Sprintf("names no time zone: %q is unknown; write one such as Europe/Amsterdam or UTC", value))
	}
	z.location = location
	return nil
}

// Level is the least important level that is logged.
type Level slog.Level

// Level implements slog.Leveler.
func (l Level) Level() slog.Level { return slog.Level(l) }

// String returns the level's name in lower case.
func (l Level) String() string { return strings.ToLower(slog.Level(l).String()) }

// EnvDecode implements the decoder of envconfig.
func (l *Level) EnvDecode(value string) error {
	switch strings.ToLower(value) {
	case "debug":
		*l = Level(slog.LevelDebug)
	case "info":
		*l = Level(slog.LevelInfo)
	case "warn":
		*l = Level(slog.LevelWarn)
	case "error":
		*l = Level(slog.LevelError)
	default:
		return malformed(fmt.Sprintf("is %q: write debug, info, warn or error", value))
	}
	return nil
}

// Format is the form of the log.
type Format string

// The forms. [FormatAuto] is coloured text on a terminal and plain text elsewhere.
const (
	FormatAuto Format = "auto"
	FormatText Format = "text"
	FormatJSON Format = "json"
)

// EnvDecode implements the decoder of envconfig.
func (f *Format) EnvDecode(value string) error {
	return oneOf(f, value, FormatAuto, FormatText, FormatJSON)
}

// oneOf decodes one of some words, in small or capital letters.
func oneOf[T ~string](to *T, value string, words ...T) error {
	if word := T(strings.ToLower(value)); slices.Contains(words, word) {
		*to = word
		return nil
	}
	var choice strings.Builder
	for i, word := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			choice.WriteString(" or ")
		default:
			choice.WriteString(", ")
		}
		choice.WriteString(string(word))
	}
	return malformed(fmt.Sprintf("is %.40q: write %s", value, choice.String()))
}

// formError is a decoder's complaint, worded for an operator to follow the
// variable's name.
type formError struct{ problem string }

func (e *formError) Error() string { return e.problem }

func malformed(problem string) error { return &formError{problem} }
