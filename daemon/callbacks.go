package daemon

import (
	"context"
	"log/slog"
	"net"

	"duewatch/config"
	"duewatch/scheduler"
	"duewatch/store"
	"duewatch/web"
)

// newCallbacks are those of a config; nil = it has no public URL.
func newCallbacks(s *store.Store, cfg *config.Config) (*scheduler.Callbacks, error) {
	if cfg.Web.PublicURL == "" {
		return nil, nil //nolint:nilnil // nil is none, here and in scheduler
	}
	key, err := s.CallbackKey()
	if err != nil {
		return nil, err
	}
	return &scheduler.Callbacks{StatusURL: web.CallbackURL(cfg.Web.PublicURL), Key: key}, nil
}

// listenForCallbacks opens the listener that the provider is led to; nil = there is no
// public URL. The sandbox calls it without a proxy.
func (d *daemon) listenForCallbacks(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	if cfg.Web.PublicURL == "" {
		return nil, nil //nolint:nilnil // as above
	}
	listener, err := web.ListenForCallbacks(ctx, web.CallbackConfig{Listen: cfg.Web.CallbacksListen})
	if err == nil && d.standIns != nil {
		cfg.Web.PublicURL = "http://" + listener.Addr().String()
	}
	return listener, err
}

// serveCallbacks takes what the provider says until ctx ends.
func (d *daemon) serveCallbacks(
	ctx context.Context, listener net.Listener, cfg *config.Config, s *scheduler.Scheduler, log *slog.Logger,
) error {
	return web.ServeCallbacks(ctx, listener, web.CallbackConfig{
		PublicURL: cfg.Web.PublicURL, AuthToken: cfg.Notifier.Twilio.AuthToken.Reveal(),
		Status: s.RecordCallback, Store: d.store, Now: d.Now, Metrics: d.callbacks, Log: log,
	})
}
