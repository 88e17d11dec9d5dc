package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Meta reads a fact about the store; "" when it was never set.
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	err = s.read(ctx).Row("SELECT value FROM meta WHERE key = ?1", key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return value, nil
}

// SetMeta writes a fact about the store.
func (s *Store) SetMeta(key, value string) error {
	if err := s.do(func(t *tx) error { return t.setMeta(key, value) }); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func (t *tx) setMeta(key, value string) error {
	_, err := t.Exec(`INSERT INTO meta (key, value) VALUES (?1, ?2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// instant reads a fact that is an instant; zero = there is none.
func (t *tx) instant(key string) (at time.Time, err error) {
	var value string
	err = t.Row("SELECT value FROM meta WHERE key = ?1", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return at, nil
	}
	if err != nil {
		return at, fmt.Errorf("read %s: %w", key, err)
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return at, fmt.Errorf("read %s: %w", key, err)
	}
	return time.UnixMilli(ms), nil
}

// instant reads a fact that is one; zero = it is not there.
func (s *Store) instant(ctx context.Context, key string) (time.Time, error) {
	value, err := s.Meta(ctx, key)
	if err != nil || value == "" {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", key, err)
	}
	return time.UnixMilli(ms), nil
}
