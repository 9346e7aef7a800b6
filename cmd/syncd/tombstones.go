package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/internal/tombstone"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// personsKey names the key by which persons are hashed, in a state that took it over from
// a tombstone file. Any other state derives it.
const personsKey = "persons"

// personsOf returns what hashes who somebody is: their website and their e-mail.
func personsOf(ctx context.Context, store state.Store) (state.Hasher, error) {
	key, _, err := keyOfPersons(ctx, store)
	if err != nil {
		return state.Hasher{}, err
	}
	return state.NewHasher(key)
}

func keyOfPersons(ctx context.Context, store state.Store) (key []byte, taken bool, err error) {
	if key, err = store.Secret(ctx, personsKey); err != nil || key != nil {
		return key, true, err
	}
	return store.Hasher().Key(personsKey), false, nil
}

// tombstoneFolder says what to do about a folder that no tombstone file can be written in.
const tombstoneFolder = "create the folder for the user that syncd runs as, or name another file; the units of deploy/systemd make " +
	"/var/lib/syncd-tombstones/SHOP, and in a unit of your own StateDirectory= or ReadWritePaths= allows it"

// writableTombstones tries whether a tombstone file can be added to, or made where there is
// none, and changes nothing.
func writableTombstones(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // the operator names it
	if errors.Is(err, fs.ErrNotExist) {
		return writableFolder(filepath.Dir(path))
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// openTombstones opens the configured tombstone file, nil when there is none, and has the
// state and the file hash alike: a new state takes over the key of the file that an earlier
// one left.
func openTombstones(ctx context.Context, cfg config.Config, log *slog.Logger, store state.Store) (*tombstone.File, error) {
	if cfg.Tombstones == "" {
		return nil, nil //nolint:nilnil // most have none
	}
	refuse := func(problem string) error {
		return &config.Error{Variable: config.Prefix + "TOMBSTONE_FILE", Problem: "cannot be used: " + problem}
	}
	box, err := seal.New(cfg.EncryptionKey.Reveal())
	if err != nil {
		return nil, err
	}
	file, err := tombstone.New(tombstone.Config{Path: cfg.Tombstones, Pipeline: cfg.Shop, Box: box, Log: log})
	if err != nil {
		return nil, refuse(err.Error())
	}
	if _, looking := store.(unsettled); !looking { // who only looks adds nothing to it
		if err := writableTombstones(cfg.Tombstones); err != nil {
			return nil, refuse(fmt.Sprintf("it cannot be written in %s (%s): %s", filepath.Dir(cfg.Tombstones), err, tombstoneFolder))
		}
	}
	key, taken, err := keyOfPersons(ctx, store)
	if err != nil {
		return nil, err
	}
	switch {
	case file.Key() == nil:
		file.Use(key)
	case !bytes.Equal(file.Key(), key):
		pipelines, err := store.Pipelines(ctx)
		if err != nil {
			return nil, err
		}
		if taken || len(pipelines) > 0 {
			return nil, refuse(fmt.Sprintf("%s tells of another state of this shop, and this state cannot read its hashes; "+
				"begin with a new state, which takes the file over; or keep that file and name another one, which is made whole from this state", cfg.Tombstones))
		}
		if err := store.SetSecret(ctx, personsKey, file.Key()); err != nil {
			return nil, err
		}
	}
	return file, nil
}

// erasureOf is what the settings say of people who are gone from the shop.
func erasureOf(cfg config.Config, file *tombstone.File) engine.Erasure {
	e := engine.Erasure{Policy: engine.ErasurePolicy(cfg.Erasure), Anonymised: cfg.Anonymised}
	if file != nil {
		e.Graves = file
	}
	return e
}
