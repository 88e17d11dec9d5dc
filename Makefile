# `make help` lists the targets. Building needs Go, make, bash and a C compiler (SQLite
# is C), which `make needs` checks; verify-unit also needs systemd's own tools.

GO                ?= go
FUZZTIME          ?= 5s
SEEDS             ?= 2000
KILLS             ?= 100
REMINDERS         ?= 2000
DAEMONS           ?= 1
GOLANGCI_VERSION  := 2.15.0

# Where install puts its files and uninstall finds them. DESTDIR is put before each, for
# packagers.
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
UNITDIR    ?= $(PREFIX)/lib/systemd/system
USERSDIR   ?= $(PREFIX)/lib/sysusers.d
SHAREDIR   ?= $(PREFIX)/share
ZSHDIR     ?= $(SHAREDIR)/zsh/site-functions
SYSCONFDIR ?= /etc
STATEDIR   ?= /var/lib/duewatch
CONFDIR    := $(SYSCONFDIR)/duewatch
MANDIR     := $(SHAREDIR)/man/man1
UNITS      := duewatch.service duewatch-backup.service duewatch-backup.timer
COMPLETION := $(SHAREDIR)/bash-completion/completions/duewatch $(ZSHDIR)/_duewatch \
	$(SHAREDIR)/fish/vendor_completions.d/duewatch.fish

# The highest exposure that `systemd-analyze security` may find in the unit.
EXPOSURE   := 1.5

LINT := .bin/golangci-lint

export CGO_ENABLED := 1
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { print substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))

##@ Build and run

# From 1.21 on, Go fetches the version that go.mod names by itself. An older Go fails with an
# error that does not say so, and a compiler without the headers of the C library with one
# about stdlib.h. GOTOOLCHAIN=local keeps this check from fetching anything. A version that
# is no release, such as devel, is let through.
GO_NEEDED := $(shell awk '$$1 == "go" { print $$2 }' go.mod)
APT       := sudo apt install golang gcc libc6-dev make git

.PHONY: needs
needs:
	@stop() { \
		printf '%s\n' "duewatch needs Go $(GO_NEEDED): $$1" \
			"  Debian 13 or later: $(APT)" \
			"    (a Go from 1.21 on fetches $(GO_NEEDED) by itself)" \
			"  Debian 12 and others: unpack go$(GO_NEEDED) from https://go.dev/dl/ into /usr/local, then" \
			"    export PATH=/usr/local/go/bin:\$$PATH" >&2; \
		exit 1; \
	}; \
	have=$$(GOTOOLCHAIN=local $(GO) version 2>/dev/null | awk '{ print $$3 }') || have=; \
	case "$$have" in \
		"") stop "there is no $(GO) on the PATH" ;; \
		go1.*) minor=$${have#go1.}; minor=$${minor%%[!0-9]*}; \
			[ "$$minor" -ge 21 ] || stop "$(GO) is $$have, which is too old to fetch another" ;; \
	esac; \
	cc=$$($(GO) env CC); \
	$$cc -E - >/dev/null 2>&1 <<< '#include <stdlib.h>' || { \
		echo "duewatch needs a C compiler with the headers of the C library, and $$cc is none: on Debian, sudo apt install gcc libc6-dev" >&2; \
		exit 1; \
	}

# Go asks git for the version that it writes into the binary. Where git has none (a
# tarball, another user's clone) the binary is built without one. It is position-independent,
# as Debian's programs are; the packages share what is compiled here, and add LDFLAGS.
OUTPUT  ?= duewatch
LDFLAGS ?=
.PHONY: build
build: needs ## build ./duewatch
	@stamp=false; if git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then stamp=auto; fi; \
	$(GO) build -trimpath -buildvcs=$$stamp -buildmode=pie -ldflags='$(LDFLAGS)' -o $(OUTPUT) .

# Where another program, such as an installed duewatch, has the port of web.listen, the next
# free one is taken.
.PHONY: run
run: build ## run the daemon against the sandbox, with its store in .run/
	@mkdir -p .run
	@if [ -z "$${DUEWATCH_WEB__LISTEN:-}" ]; then \
		port=8750; while (: <>/dev/tcp/127.0.0.1/$$port) 2>/dev/null; do port=$$((port + 1)); done; \
		if [ "$$port" != 8750 ]; then \
			echo "port 8750 is taken: the page, /healthz and /metrics are at http://127.0.0.1:$$port"; \
			export DUEWATCH_WEB__LISTEN=127.0.0.1:$$port; \
		fi; \
	fi; \
	DUEWATCH_STORE=.run/duewatch.db exec ./duewatch run --sandbox --config config.yaml

.PHONY: cluster
cluster: bench-build ## show three daemons on one PostgreSQL server, of which one is killed
	@.bench/bench -cluster

##@ Test

# How many tests of a package run at a time. Most wait, for a server, a process or a clock, so it is
# more than a small machine has CPUs. Each may take some twenty of the test server's 200 connections.
PARALLEL ?= 6

# With STORE=postgres, tests keep their stores on a PostgreSQL server of their own.
ON_STORE = DUEWATCH_TEST_STORE=$(STORE)

# All tests on SQLite, with the flags that the target gives; then the store and what works on it once
# more on PostgreSQL, always with the race detector. Targets that give the same flags give the same
# commands, so that the go command does not repeat what has passed. It keeps one result for the same
# flags, whatever the environment is: so the time-outs differ.
define run_tests
@$(GO) test $(1) -timeout 30m -parallel $(PARALLEL) ./...
@if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; then \
	echo "once more on PostgreSQL, with the race detector:"; \
	DUEWATCH_TEST_STORE=postgres $(GO) test -race -timeout 40m -parallel $(PARALLEL) ./store ./scheduler; \
else \
	printf '\n%s\n%s\n' "SKIPPED: nothing was tested on PostgreSQL, which is not installed here." "  Debian: sudo apt install postgresql" >&2; \
fi
@command -v chromium >/dev/null || printf '\n%s\n%s\n' "SKIPPED: the page was not looked at in a browser, since chromium is not installed here." "  Debian: sudo apt install chromium" >&2
endef

.PHONY: test
test: needs ## run all tests, those of the store on PostgreSQL too (RACE=1: with the race detector)
	$(call run_tests,$(if $(RACE),-race))

.PHONY: race
race: needs ## run all tests with the race detector
	$(call run_tests,-race)

.PHONY: fuzz
fuzz: needs ## fuzz every target of every package, FUZZTIME each
	@$(GO) test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ { target[++n] = $$1 } $$1 == "ok" { for (i = 1; i <= n; i++) print $$2, target[i]; n = 0 }' \
	| while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done

# README shows it. The test fills a store with 45 days of made-up customers.
.PHONY: screenshot
screenshot: needs ## make docs/page.png, the screenshot of the page (needs chromium)
	@command -v chromium >/dev/null || { echo "screenshot needs chromium: sudo apt install chromium" >&2; exit 1; }
	@$(GO) test ./cli -run '^TestThePageInABrowser$$' -count=1 -args -screenshot "$(CURDIR)/docs/page.png"

.PHONY: simtest
simtest: needs ## simulate weeks of the daemon against faulty services, SEEDS times (STORE=postgres, DAEMONS=3)
	@$(ON_STORE) $(GO) test ./scheduler -run '^TestSimulation$$' -count=1 -timeout 24h -seeds=$(SEEDS) -daemons=$(DAEMONS)

.PHONY: storm
storm: needs ## kill the daemon again and again while it sends (KILLS, REMINDERS, CALLBACKS=1, STORE=postgres, DAEMONS=3)
	@$(ON_STORE) $(GO) test ./cli -run '^TestStorm$$' -count=1 -timeout 30m -v -storm.kills=$(KILLS) -storm.reminders=$(REMINDERS) \
		-storm.daemons=$(DAEMONS) $(if $(CALLBACKS),-storm.callbacks)

# A round kills the primary of two PostgreSQL servers under three daemons that send.
.PHONY: failover
failover: needs ## lose the database server while three daemons send, and go on with its standby (ROUNDS=10)
	@$(GO) test ./cli -run '^TestFailover' -count=1 -timeout 60m -v -failover.rounds=$(or $(ROUNDS),10)

.PHONY: test-deb
test-deb: deb rpm ## install, upgrade and purge the packages on a copy of this machine (as root)
	@packaging/test

.PHONY: test-systemd
test-systemd: deb ## walk through systemd/README.md on a Debian booted by systemd (as root)
	@systemd/test

##@ Measure

# The programs, and the library that delays fsync.
.PHONY: bench-build
bench-build: build
	@mkdir -p .bench
	@$(GO) build -o .bench/bench ./bench
	@$(CC) -shared -fPIC -O2 -o .bench/slowsync.so bench/slowsync/slowsync.c -ldl

.PHONY: bench
bench: bench-build ## measure duewatch against its ceilings (ONLY=remind, SMALL=1)
	@.bench/bench -only '$(ONLY)' $(if $(SMALL),-small) $(if $(ONLY)$(SMALL),,-write docs/performance.md)

.PHONY: bench-pure
bench-pure: needs ## measure planning, deciding, wording and reading, without I/O
	@$(GO) test -run '^$$' -bench . -cpu 1 ./reminder ./almara

.PHONY: bench-stores
bench-stores: bench-build ## make the store of 10M bills that make bench needs
	@.bench/bench -stores

##@ Check

.PHONY: check
check: fmt-check vet lint race build verify-unit ## all that a change must pass

.PHONY: fmt
fmt: $(LINT) ## format the code
	@$(LINT) fmt

.PHONY: fmt-check
fmt-check: needs ## check that every file is formatted
	@files=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); [ -z "$$files" ] || { echo "not formatted (run make fmt):"; echo "$$files"; exit 1; } >&2

.PHONY: vet
vet: needs ## go vet
	@$(GO) vet ./...

.PHONY: lint
lint: $(LINT) ## golangci-lint in the pinned version
	@$(LINT) run

# Installed when it is missing or of another version.
.PHONY: $(LINT)
$(LINT): needs
	@if [ "$$($(LINT) version --short 2>/dev/null)" != "$(GOLANGCI_VERSION)" ]; then \
		echo "installing golangci-lint $(GOLANGCI_VERSION) into .bin (once, some minutes)"; \
		GOBIN="$(CURDIR)/.bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION); \
	fi

# It checks a copy of the units whose programs exist: a missing program is a warning, and
# any warning fails.
.PHONY: verify-unit
verify-unit: ## check the systemd units and the exposure of their sandboxes
	@command -v systemd-analyze >/dev/null || { echo "verify-unit needs systemd-analyze: install systemd" >&2; exit 1; }
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for unit in $(UNITS); do sed -E 's|^(Exec[A-Za-z]*=)[^ ]+|\1/bin/true|' systemd/$$unit > "$$dir/$$unit"; done; \
	warnings=$$(systemd-analyze verify --man=no --recursive-errors=no $(addprefix "$$dir"/,$(UNITS)) 2>&1) || warnings="$$warnings (failed)"; \
	[ -z "$$warnings" ] || { echo "systemd-analyze verify says:"; echo "$$warnings"; exit 1; } >&2; \
	for unit in $(filter %.service,$(UNITS)); do \
		if ! report=$$(systemd-analyze security --offline=true --threshold=$(subst .,,$(EXPOSURE)) --no-pager "$$dir/$$unit" 2>&1); then \
			echo "$$report"; echo "the exposure of $$unit is over $(EXPOSURE), or could not be determined"; exit 1; \
		fi >&2; \
		sed -nE 's/.*Overall exposure level for ([^ ]+): ([0-9.]+).*/\1: no warnings, exposure \2 (at most $(EXPOSURE))/p' <<< "$$report"; \
	done

.PHONY: check-rules
check-rules: ## check and test the alarms for Prometheus
	@command -v promtool >/dev/null || { echo "check-rules needs promtool: install prometheus" >&2; exit 1; }
	@promtool check rules monitoring/duewatch.rules.yml && promtool test rules monitoring/duewatch.rules.test.yml

##@ Install

# What is installed besides the files is what the packages do in their scripts: the user, its
# right to read the config, and the folder of the store.
BINARY ?= duewatch
.PHONY: install
install: ## install binary, units, user, config, man pages and completion (after make build)
	@[ -x $(BINARY) ] || { echo "there is no ./$(BINARY) yet: run \`make build\` first, as yourself" >&2; exit 1; }
	@install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(CONFDIR)"
	@install -d -m 0700 "$(DESTDIR)$(CONFDIR)"/credentials{,/almara,/twilio}
	@install -m 0755 $(BINARY) "$(DESTDIR)$(BINDIR)/duewatch"
	@for unit in $(UNITS); do \
		sed -e 's|/usr/local/bin/duewatch|$(BINDIR)/duewatch|g' -e 's|/etc/duewatch/|$(CONFDIR)/|g' systemd/$$unit \
		| install -m 0644 /dev/stdin "$(DESTDIR)$(UNITDIR)/$$unit"; done
	@install -D -m 0644 systemd/duewatch.sysusers "$(DESTDIR)$(USERSDIR)/duewatch.conf"
	@[ -n "$(DESTDIR)" ] || systemd-sysusers "$(USERSDIR)/duewatch.conf"
	@conf="$(DESTDIR)$(CONFDIR)/config.yaml"; \
	if [ -e "$$conf" ]; then echo "kept       $(CONFDIR)/config.yaml"; else \
		sed -E 's|^store:[[:space:]]*[^#[:space:]]+|store: $(STATEDIR)/duewatch.db|' config.yaml | install -m 0640 /dev/stdin "$$conf"; \
		grep -qF 'store: $(STATEDIR)/duewatch.db' "$$conf" || { rm "$$conf"; echo "config.yaml has no line store: to set" >&2; exit 1; }; \
		[ -n "$(DESTDIR)" ] || chgrp duewatch "$$conf"; \
		echo "installed  $(CONFDIR)/config.yaml"; fi
	@[ -n "$(DESTDIR)" ] || [ -e "$(STATEDIR)" ] || install -d -o duewatch -g duewatch -m 0700 "$(STATEDIR)"
	@install -d "$(DESTDIR)$(MANDIR)" && ./$(BINARY) man "$(DESTDIR)$(MANDIR)"
	@set -- bash zsh fish; for file in $(COMPLETION); do \
		./$(BINARY) completion "$$1" | install -D -m 0644 /dev/stdin "$(DESTDIR)$$file"; shift; done
	@echo "installed  $(BINDIR)/duewatch"
	@echo "installed  $(addprefix $(UNITDIR)/,$(UNITS))"
	@echo "installed  $(MANDIR)/duewatch*.1, and completion for bash, zsh and fish"
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "systemd/README.md says what is next"

.PHONY: uninstall
uninstall: ## remove what install put in place, but not the config and the store
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ] && systemctl cat duewatch.service >/dev/null 2>&1; then \
		systemctl disable --now duewatch-backup.timer duewatch.service; fi
	@rm -f "$(DESTDIR)$(BINDIR)/duewatch" "$(DESTDIR)$(USERSDIR)/duewatch.conf" $(addprefix "$(DESTDIR)$(UNITDIR)"/,$(UNITS)) \
		"$(DESTDIR)$(MANDIR)"/duewatch.1 "$(DESTDIR)$(MANDIR)"/duewatch-*.1 $(addprefix "$(DESTDIR)",$(COMPLETION))
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "removed the binary and the units; $(CONFDIR), $(STATEDIR) and the user duewatch are kept"

# nfpm has a module file of its own, packaging/nfpm.mod, so that its libraries are no matter
# of the program's.
.PHONY: deb
deb: needs ## build dist/duewatch_VERSION_ARCH.deb
	@GO="$(GO)" packaging/build deb

.PHONY: rpm
rpm: needs ## build dist/duewatch-VERSION-1.ARCH.rpm
	@GO="$(GO)" packaging/build rpm

.PHONY: clean
clean: ## remove what build, run, bench, lint and the packages left here
	@rm -rf duewatch dist .run .bin .bench
