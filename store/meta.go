package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"duewatch/store/db"
)

// Meta reads a fact about the store; "" when it was never set.
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	return metaOf(s.read(ctx), key)
}

func metaOf(q db.Reader, key string) (value string, err error) {
	err = q.Row("SELECT value FROM meta WHERE key = ?1", key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return value, nil
}

// instantOf reads a fact that is an instant; zero = it was never set.
func instantOf(q db.Reader, key string) (time.Time, error) {
	value, err := metaOf(q, key)
	if err != nil || value == "" {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", key, err)
	}
	return time.UnixMilli(ms), nil
}

// SetMeta writes a fact about the store.
func (s *Store) SetMeta(key, value string) error {
	if err := s.do(func(t *tx) error { return t.setMeta(key, value) }); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// ReplaceMeta writes a fact whose value was ("" = it was not there); it does nothing where it has
// another one by now.
func (s *Store) ReplaceMeta(key, was, value string) error {
	err := s.do(func(t *tx) error {
		if have, err := metaOf(t, key); err != nil || have != was {
			return err
		}
		return t.setMeta(key, value)
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func (t *tx) setMeta(key, value string) error {
	_, err := t.Exec(`INSERT INTO meta (key, value) VALUES (?1, ?2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}
