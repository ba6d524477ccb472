# mcastd: build, test, install. There is no configure step.
#
#   make                build $(BUILD)/mcastd and $(BUILD)/mcastctl, and the modules for brokers whose libraries there are
#   make demo           build, run the daemon on loopback, send and receive two datagrams
#   make check          all tests, under the address and undefined behaviour sanitizers
#   make check-unit     the unit tests only          UNIT=test_units: only this program
#   make check-net      the network tests only       PYTEST_ARGS="-k isolation": passed on to pytest
#   make check-fault    the tests in which calls of the daemon fail
#   make check-long     the tests that take minutes, and each fuzz target for 10 minutes
#   make check-peers    the tests with real programs of others, which are large
#   make check-all      check and check-peers, beside each other
#   make check-service  the tests in a systemd of their own, as root      PYTEST_ARGS as above
#   make check-systems  packages and tests in minimal roots of Debian 12 and 13, as root   SYSTEMS_DIR=build/systems
#                       SYSTEMS_ARGS="--systems trixie --steps package check": only these
#   make bench          how fast it is, next to other programs, as root: under 15 minutes     BENCH_ARGS=--list
#   make bench-quick    the same with fewer and shorter runs: under 2 minutes
#   make bench-profile  where the time goes: flame graphs in build/bench                BENCH_ARGS=json: only this
#   make check-layers   which room of src/ includes which, and circles
#   make check-size     functions over 80 lines; says which files are over 600
#   make check-format   whether clang-format agrees with all sources
#   make check-words    words that the project does not use: tests/words.txt
#   make fuzz           parsers against made-up input, with clang's libFuzzer      SECONDS=60 each, FUZZ=captures: only this
#   make fuzz-coverage  what of the parsers the seeds reach     COVERAGE=src/net/target.c: the lines that they do not
#   make format         run clang-format over the sources
#   make man            the manual pages, with scdoc, to $(BUILD)/man
#   make install        DESTDIR, PREFIX=/usr/local, SYSCONFDIR=/etc; an existing mcastd.conf is kept; the manual
#                       pages only where scdoc is
#                       SYSTEMDUNITDIR, SYSUSERSDIR, CATALOGDIR: where the files for systemd go, below PREFIX/lib
#   make uninstall      the configuration is kept
#   make dist           the source archive, to $(BUILD)
#   make deb            Debian packages, binary and source, to $(BUILD)/deb
#   make rpm            an RPM package, to $(BUILD)/rpm
#   make clean
#
# demo and check first install what is missing (packaging/install-deps); the other targets only say so.
#
#   BUILD=build         where everything that is built goes
#   V=1                 show the commands
#   WERROR=1            warnings are errors
#   ENGINES="nats mqtt kafka"   the modules to build, none left out; by default those whose libraries pkg-config finds
#   SANITIZE=           for gcc's -fsanitize=, such as address,undefined or thread
#   CC, CFLAGS, CPPFLAGS, LDFLAGS   as usual

BUILD ?= build
V ?=
WERROR ?=
SANITIZE ?=
UNIT ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
SYSTEMS_ARGS ?=
SYSTEMS_DIR ?= $(BUILD)/systems

DESTDIR ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
DOCDIR ?= $(PREFIX)/share/doc/mcastd
DATADIR ?= $(PREFIX)/share/mcastd
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
SYSTEMDUNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog
INSTALL ?= install

PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format
SCDOC ?= scdoc
# The first Python that has pytest: the one in PATH may be a private build without it.
PYTHON ?= $(shell for python in /usr/bin/python3 python3; do \
	$$python -c 'import pytest' 2>/dev/null && echo $$python && break; done)

VERSION := $(shell cat VERSION)
MAKEFLAGS += --no-print-directory

.PHONY: all engines check check-all check-unit check-net check-fault check-long check-peers check-service check-layers check-size check-format check-words
.PHONY: fuzz fuzz-coverage fuzz-programs
.PHONY: bench bench-quick bench-profile check-systems
.PHONY: bench-programs demo format
.PHONY: man install install-man install-systemd uninstall dist deb rpm clean test-programs FORCE
.DELETE_ON_ERROR:
.SUFFIXES:
all: $(BUILD)/mcastd $(BUILD)/mcastctl engines

# ---- Flags ----

CFLAGS ?= $(if $(SANITIZE),-O1,-O2) -g

# _FORTIFY_SOURCE needs an optimiser, gets in the way of the sanitizers, and may already be set.
optimised := $(filter-out -O0,$(filter -O%,$(CFLAGS)))
fortified := $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))
fortify := $(if $(SANITIZE)$(fortified),,$(if $(optimised),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)

cppflags := -D_GNU_SOURCE -Isrc -I$(BUILD)/gen $(fortify) -DMCASTD_VERSION='"$(VERSION)"' \
	-DMCASTD_CONFIG='"$(SYSCONFDIR)/mcastd/mcastd.conf"' -DMCASTD_DATADIR='"$(DATADIR)"' $(CPPFLAGS)
# What is built does not depend on where that is.
same_paths := -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(BUILD)/=build/
# The sanitizers' tables are full of addresses: to relocate them is a fifth of the time that a short-lived program takes.
pie := $(if $(findstring address,$(SANITIZE)),no-pie,pie)
cflags := -std=gnu17 -pthread $(if $(filter pie,$(pie)),-fPIE,-fno-pie) -fstack-protector-strong -Wall -Wextra \
	$(if $(WERROR),-Werror) $(sanitize) $(same_paths) $(CFLAGS)
# The leak check at the end of each program reads all memory of the sanitizers' libraries, twice 5 MiB unless one of them is static.
sanitize_once = $(if $(findstring undefined,$(SANITIZE)),$(if $(findstring clang,$(CC)),,-static-libubsan))
common_ldflags = -pthread -Wl,-z,relro,-z,now $(sanitize) $(sanitize_once) $(CFLAGS) $(LDFLAGS)
ldflags = -$(pie) $(common_ldflags)

# Asked once, and only by a target that needs the answer: install-deps may yet bring pkg-config.
mcastd_modules := libevent_extra libevent_core libconfig libsystemd jansson
mcastctl_modules := jansson smartcols
modules := $(sort $(mcastd_modules) $(mcastctl_modules))
once = $(eval $(1) := $$(shell $(PKG_CONFIG) $(2) 2>/dev/null))$($(1))
module_cflags = $(call once,module_cflags,--cflags $(modules))
mcastd_module_libs = $(call once,mcastd_module_libs,--libs $(mcastd_modules))
mcastd_libs = $(mcastd_module_libs) -ldl
mcastctl_libs = $(call once,mcastctl_libs,--libs $(mcastctl_modules))
test_module_libs = $(call once,test_module_libs,--libs $(modules) cmocka)
test_libs = $(test_module_libs) -ldl

# ---- Sources ----

rooms := base service net config data formats child recorder handlers engines groups control http daemon
objects = $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard $(1))))

# Modules: the files of src/engines/NAME/, and the libraries that each needs.
engine_names := nats mqtt kafka
engine_libraries_nats := libnats libcrypto jansson
engine_libraries_mqtt := libmosquitto openssl
engine_libraries_kafka := rdkafka libcrypto
# What all of them have, and the daemon has not, as it needs OpenSSL.
engine_common := $(call objects,src/engines/certificates.c)
engine_parts = $(call objects,src/engines/$(1)/*.c) $(engine_common)
engine_objects := $(foreach name,$(engine_names),$(call engine_parts,$(name)))
engines_here := $(foreach name,$(engine_names),$(if $(wildcard src/engines/$(name)/*.c),$(name)))
ifeq ($(origin ENGINES),undefined)
ENGINES = $(eval ENGINES := $(foreach name,$(engines_here),$$(shell \
	$(PKG_CONFIG) --exists $(engine_libraries_$(name)) 2>/dev/null && echo $(name))))$(ENGINES)
left_out = $(filter-out $(ENGINES),$(engines_here))
endif
module_directory := $(BUILD)/lib/mcastd/$(VERSION)
engine_modules = $(ENGINES:%=$(module_directory)/%.so)
# What modules use of the daemon.
exported := src/engines/exported.list

mcastd_objects := $(filter-out $(engine_objects),$(call objects,$(rooms:%=src/%/*.c) src/control/methods/*.c src/control/values/*.c))
ctl_objects := $(call objects,src/ctl/*.c src/ctl/commands/*.c src/ctl/doctor/*.c src/ctl/probe/*.c src/ctl/replay/*.c src/ctl/top/*.c)
mcastctl_objects := $(ctl_objects) \
	$(call objects,src/base/*.c src/formats/*.c src/control/framing.c $(addprefix src/data/,datagram.c filter.c jitter.c sequence.c twins.c) src/groups/arena.c \
		$(addprefix src/config/,check_filter.c config.c keys.c match.c schema.c \
			where.c) \
		$(addprefix src/net/,address.c holder.c interface.c joined.c multicast.c report_sockets.c route_refusal.c rtnetlink.c send_socket.c target.c udp_out.c udp_sockets.c udp_way.c))
test_objects := $(call objects,tests/unit/test_*.c)
test_helper_objects := $(filter-out $(test_objects),$(call objects,tests/unit/*.c))
# tests/unit/test_NAME.c is of the module NAME, and only there where that is built.
engine_tests := $(engine_names:%=$(BUILD)/tests/unit/test_%)
test_programs = $(filter-out $(filter-out $(ENGINES:%=$(BUILD)/tests/unit/test_%),$(engine_tests)),$(test_objects:.o=))
# Files that are part of the program, as C string literals.
page := $(BUILD)/gen/http/page/index.html
page_styles := src/http/page/style.css
page_scripts := $(patsubst %,src/http/page/%.js,format model sparkline sorting groups panels main)
embedded := $(addprefix $(BUILD)/gen/,control/io.mcastd.varlink.h) $(page).h $(page).policy.h
man_objects := $(call objects,man/*.c)
fuzz_objects := $(call objects,tests/fuzz/*.c)
# As with unit tests: tests/fuzz/NAME.c is of the module NAME.
engine_fuzz := $(engine_names:%=$(BUILD)/tests/fuzz/%)
fuzz_programs = $(filter-out $(filter-out $(ENGINES:%=$(BUILD)/tests/fuzz/%),$(engine_fuzz)),$(fuzz_objects:.o=))
bench_common := $(call objects,tests/bench/bench.c)
bench_objects := $(filter-out $(bench_common) %/rcvbuf.o,$(call objects,tests/bench/*.c))
bench_programs := $(bench_objects:.o=)
man_pages := mcastctl.1 mcastd.conf.5 io.mcastd.7 mcastd.8
# Other names of mcastd.8: those of the units, by which somebody who manages services looks for it.
unit_pages := $(addsuffix .8,mcastd@ mcastd.service mcastd@.service mcastd.socket mcastd@.socket mcastd.slice)

# ---- Rules ----

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(Q),@printf '  %-5s %s\n' '$(1)' '$(@:$(BUILD)/%=%)')

$(BUILD)/mcastd: $(mcastd_objects) $(exported) $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -Wl,--dynamic-list=$(exported) -o $@ $(mcastd_objects) $(mcastd_libs)

$(BUILD)/mcastctl: $(mcastctl_objects) $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -o $@ $(mcastctl_objects) $(mcastctl_libs)

# For the unit tests. q, not r: files of different rooms may have the same name.
$(BUILD)/libmcastd.a: $(filter-out %/daemon/main.o,$(mcastd_objects))
$(BUILD)/libctl.a: $(filter-out %/ctl/main.o,$(ctl_objects))
$(BUILD)/libmcastd.a $(BUILD)/libctl.a:
	$(call say,AR)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(test_objects:.o=): %: %.o $(test_helper_objects) $(BUILD)/libmcastd.a $(BUILD)/libctl.a $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(test_libs) $(engine_libs)

$(BUILD)/%.o: %.c $(BUILD)/flags | $(embedded)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cppflags) $(module_cflags) $(cflags) $(engine_cflags) -MMD -MP -c -o $@ $<

# Position-independent as a library, and with one name to the outside (engines/keys.h).
$(foreach name,$(engines_here),$(eval $(call engine_parts,$(name)): engine_cflags = \
	-fPIC -fvisibility=hidden $$(shell $$(PKG_CONFIG) --cflags $(engine_libraries_$(name)))))

$(foreach name,$(engine_names),$(eval $(BUILD)/tests/unit/test_$(name) $(BUILD)/tests/fuzz/$(name): engine_libs = \
	$$(shell $$(PKG_CONFIG) --libs $(engine_libraries_$(name)))))

.SECONDEXPANSION:
test-programs: $$(test_programs)
	@:
$(engine_tests): $$(call engine_parts,$$(patsubst test_%,%,$$(@F)))
$(engine_names:%=$(module_directory)/%.so): $(module_directory)/%.so: $$(call engine_parts,$$*) $(BUILD)/flags
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(common_ldflags) -o $@ $(filter %.o,$^) $$($(PKG_CONFIG) --libs $(engine_libraries_$*))

say_left_out = @echo 'Without the libraries of each, these modules are left out:$(foreach \
	name,$(left_out), $(name) ($(engine_libraries_$(name))))'
engines: $$(engine_modules)
	$(if $(left_out),$(say_left_out),@:)

# For an #include within an initializer.
make_literal = sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< >$@
$(BUILD)/gen/control/io.mcastd.varlink.h: src/control/io.mcastd.varlink
	$(call say,GEN)
	@mkdir -p $(@D)
	$(Q)$(make_literal)
$(page).h: $(page)
	$(call say,GEN)
	$(Q)$(make_literal)

# One file from its parts. Its policy permits these, by what they hash to (CSP level 2), and no others.
$(page): src/http/page/index.html $(page_styles) $(page_scripts)
	$(call say,GEN)
	@mkdir -p $(@D)
	$(Q)cat $(page_scripts) >$@.js
	$(Q)sed -e '/^<style>$$/r $(page_styles)' -e '/^<script type="module">$$/r $@.js' $< >$@
hash_part = { echo; cat $(1); } | sha256sum | cut -c 1-64 | fold -w 2 | \
	{ while read -r byte; do printf "\\$$(printf %o "0x$$byte")"; done; } | base64
$(page).policy.h: $(page)
	$(call say,GEN)
	$(Q)printf '"; script-src '\''sha256-%s'\''; style-src '\''sha256-%s'\''"\n' \
		"$$($(call hash_part,$<.js))" "$$($(call hash_part,$(page_styles)))" >$@

# Changes when a flag does, so that everything is built again.
$(BUILD)/flags: FORCE
	@$(PKG_CONFIG) --exists --print-errors $(modules) || { \
		echo 'Something is missing: "packaging/install-deps build" installs it.' >&2; exit 1; }
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(cppflags) $(module_cflags) $(cflags) $(ldflags))' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

-include $(patsubst %.o,%.d,$(sort $(mcastd_objects) $(engine_objects) $(mcastctl_objects) $(test_objects) \
	$(test_helper_objects) $(fuzz_objects) $(man_objects) $(bench_objects) $(bench_common)))

# ---- Manual pages ----

man: $(man_pages:%=$(BUILD)/man/%)

# What the program's tables say goes into the pages, in two passes: man/values.c, man/tables.c.
$(BUILD)/man/values: $(BUILD)/man/values.o $(BUILD)/man/template.o $(BUILD)/libmcastd.a $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(mcastd_libs)

$(BUILD)/man/tables: $(filter-out %/values.o,$(man_objects)) $(BUILD)/libmcastd.a $(BUILD)/libctl.a $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(mcastd_libs) $(mcastctl_libs)

$(man_pages:%=$(BUILD)/man/%.scd): $(BUILD)/man/%.scd: man/%.scd $(BUILD)/man/values $(BUILD)/man/tables
	$(call say,GEN)
	$(Q)$(BUILD)/man/values $< >$@.values && $(BUILD)/man/tables $@.values >$@ && rm $@.values

# Each page has the date of the last commit, or of the release. Hyphens become minus signs, so that options and examples can
# be copied, and the first line of a page with tables asks man(1) for tbl(1): scdoc leaves that out.
$(man_pages:%=$(BUILD)/man/%): %: %.scd
	$(call say,MAN)
	@command -v $(SCDOC) >/dev/null || { \
		echo 'scdoc is missing: "packaging/install-deps check" installs it.' >&2; exit 1; }
	$(Q)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || stat -c %Y VERSION)} \
		$(SCDOC) <$< >$@.roff
	$(Q){ ! grep -q '^\.TS' $@.roff || echo "'\\\" t"; } >$@
	$(Q)sed -e "/^[.']\|\\\\h'/!s/-/\\\\-/g" $@.roff >>$@ && rm $@.roff

# ---- Tests ----

# The tests have a build of their own, with the sanitizers unless the command line has SANITIZE=.
check_build := $(BUILD)/check
check_sanitize := address,undefined
ifeq ($(origin SANITIZE),command line)
check_sanitize := $(SANITIZE)
endif
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
build_checked = +$(MAKE) $(jobs) BUILD=$(check_build) SANITIZE=$(check_sanitize)
run_tests = MCASTD=$(abspath $(check_build))/mcastd MCASTCTL=$(abspath $(check_build))/mcastctl \
	$(PYTHON) tests/run
unit_tests = --unit $(addprefix $(check_build)/tests/unit/,$(or $(UNIT),$(notdir $(test_programs))))

# PYTEST_ARGS choose among the network tests: the other suites are left out then.
check:
	@packaging/install-deps check
	$(Q)$(build_checked) all man test-programs
	$(Q)$(run_tests) $(unit_tests) --net $(if $(PYTEST_ARGS),,--service --fault) -- $(PYTEST_ARGS)

check-unit:
	@packaging/install-deps check
	$(Q)$(build_checked) test-programs
	$(Q)$(run_tests) $(unit_tests)

check-net:
	@packaging/install-deps check
	$(Q)$(build_checked) all man
	$(Q)$(run_tests) --net -- $(PYTEST_ARGS)

check-fault:
	@packaging/install-deps check
	$(Q)$(build_checked) all
	$(Q)$(run_tests) --fault -- $(PYTEST_ARGS)

check-long:
	@packaging/install-deps peers
	$(Q)$(build_checked) all
	$(Q)$(run_tests) --long -- $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(Q)+$(MAKE) fuzz SECONDS=600)

check-peers:
	@packaging/install-deps peers
	$(Q)$(build_checked) all
	$(Q)$(run_tests) --peers -- $(PYTEST_ARGS)

# Beside each other they take less time.
check-all:
	@packaging/install-deps peers
	$(Q)$(build_checked) all man test-programs
	$(Q)$(run_tests) $(unit_tests) --net --service --fault --peers

check-service:
	@packaging/install-deps check
	$(Q)$(run_tests) --service -- $(PYTEST_ARGS)

# Its own make inside: nothing of this one gets in.
check-systems:
	$(Q)env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS PYTHONPATH=tests /usr/bin/python3 -B -m systems $(SYSTEMS_DIR) $(SYSTEMS_ARGS)

# ---- Fuzzing ----

FUZZ_CC ?= clang
SECONDS ?= 60
FUZZ ?=
COVERAGE ?=

# Adding 0 to NULL, as in an empty text, is no fault that a compiler makes use of (and C2y defines it).
fuzz_flags := -O1 -g -fsanitize=fuzzer-no-link -fno-sanitize=pointer-overflow -Wno-missing-field-initializers -Wno-string-concatenation

fuzz:
	@packaging/install-deps fuzz
	$(Q)+$(MAKE) $(jobs) BUILD=$(BUILD)/fuzz CC="$(FUZZ_CC)" SANITIZE=address,undefined CFLAGS="$(fuzz_flags)" fuzz-programs
	$(Q)tests/fuzz/run $(BUILD)/fuzz $(SECONDS) $(FUZZ)

# Source-based coverage of clang, of the seeds alone.
coverage_flags := -O0 -g -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping \
	-Wno-missing-field-initializers -Wno-string-concatenation

fuzz-coverage:
	@packaging/install-deps fuzz
	$(Q)+$(MAKE) $(jobs) BUILD=$(BUILD)/fuzz-coverage CC="$(FUZZ_CC)" SANITIZE= CFLAGS="$(coverage_flags)" fuzz-programs
	$(Q)tests/fuzz/coverage $(BUILD)/fuzz-coverage $(COVERAGE)

fuzz-programs: $$(fuzz_programs)
	@:
$(engine_fuzz): $$(call engine_parts,$$(@F))
$(fuzz_objects:.o=): %: %.o $(BUILD)/libmcastd.a $(BUILD)/libctl.a $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -fsanitize=fuzzer -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(mcastd_libs) $(mcastctl_libs) $(engine_libs)

check-layers: $(mcastd_objects) $(mcastctl_objects)
	$(Q)tests/check-layers $(sort $^)

check-size:
	$(Q)tests/check-size

check-words:
	$(Q)tests/check-words

# The files that git knows: .clang-format says how they look.
formatted = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h')

format:
	$(CLANG_FORMAT) -i $(formatted)

# Another release of clang-format formats otherwise: then nothing is compared.
check-format:
	$(Q)if ! $(CLANG_FORMAT) --version 2>/dev/null | grep -q 'version 14\.'; then \
		echo 'check-format: clang-format 14 is missing, so nothing was compared'; \
	else $(CLANG_FORMAT) --dry-run -Werror $(formatted) && \
		echo 'check-format: $(words $(formatted)) files, all in order'; fi

# ---- Speed ----

run_bench = MCASTD=$(abspath $(BUILD))/mcastd MCASTCTL=$(abspath $(BUILD))/mcastctl \
	PYTHONPATH=tests /usr/bin/python3 -B -m bench$(1) --programs $(BUILD)/tests/bench --output $(BUILD)/bench

$(bench_programs): %: %.o $(bench_common) $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(ldflags) -o $@ $(filter %.o,$^)

$(BUILD)/tests/bench/rcvbuf.so: tests/bench/rcvbuf.c $(BUILD)/flags
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu17 -fPIC -shared -Wall -Wextra $(CFLAGS) -o $@ $< -ldl

bench-programs: $(bench_programs) $(BUILD)/tests/bench/rcvbuf.so
	@:

bench bench-quick:
	@packaging/install-deps bench
	$(Q)+$(MAKE) $(jobs) all bench-programs
	$(Q)$(run_bench) $(if $(filter bench-quick,$@),--quick) $(BENCH_ARGS)

bench-profile:
	@packaging/install-deps bench
	$(Q)+$(MAKE) $(jobs) all bench-programs
	$(Q)$(call run_bench,.flame) $(BENCH_ARGS)

demo:
	@packaging/install-deps demo
	$(Q)+$(MAKE) $(jobs) all
	$(Q)PATH="$(abspath $(BUILD)):$$PATH" packaging/demo

# ---- Installation ----

confdir := $(DESTDIR)$(SYSCONFDIR)/mcastd
# Where the program looks for its modules.
moduledir := $(DESTDIR)$(patsubst %/bin,%,$(patsubst %/sbin,%,$(BINDIR)))/lib/mcastd

# Everybody can run mcastd, so it is in bin. Units and scripts may look for a daemon in sbin, which is the same directory on
# some systems.
link_in_sbin = [ $(DESTDIR)$(SBINDIR) -ef $(DESTDIR)$(BINDIR) ] || \
	ln -sfr $(DESTDIR)$(BINDIR)/mcastd $(DESTDIR)$(SBINDIR)/mcastd

fish_completions := $(wildcard packaging/completions/*.fish)

# What is left to do after an installation that is not into a package.
service_advice := systemd-sysusers && journalctl --update-catalog && systemctl daemon-reload && \
	systemctl enable --now mcastd

install: all install-systemd
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR)/recipes $(confdir)/conf.d
	$(INSTALL) -m 755 $(BUILD)/mcastd $(BUILD)/mcastctl $(DESTDIR)$(BINDIR)
	$(link_in_sbin)
	$(if $(ENGINES),$(INSTALL) -d $(moduledir)/$(VERSION))
	$(if $(ENGINES),$(INSTALL) -m 644 $(engine_modules) $(moduledir)/$(VERSION))
	$(INSTALL) -m 644 README.md NEWS.md LICENSE $(DESTDIR)$(DOCDIR)
	$(INSTALL) -m 644 $(wildcard doc/*.md) $(DESTDIR)$(DOCDIR)/recipes
	for file in packaging/examples/*/*; do mode=644; [ ! -x $$file ] || mode=755; \
		$(INSTALL) -D -m $$mode $$file $(DESTDIR)$(DOCDIR)/examples/$${file#packaging/examples/} || exit; done
	sed -i 's|](doc/|](recipes/|g; s|](\(\(\.\./\)\?\)systemd/examples|](\1examples/systemd|g; s|](\.\./packaging/examples|](../examples|g;'\
	's|/usr/local/share/mcastd|$(DATADIR)|g' \
		$(DESTDIR)$(DOCDIR)/*.md $(DESTDIR)$(DOCDIR)/recipes/*.md
	$(INSTALL) -m 644 etc/mcastd.conf $(wildcard etc/conf.d/*.example) $(DESTDIR)$(DOCDIR)/examples
	$(INSTALL) -d $(DESTDIR)$(DATADIR)/monitoring
	$(INSTALL) -m 644 $(wildcard packaging/monitoring/*) $(DESTDIR)$(DATADIR)/monitoring
	$(INSTALL) -d $(DESTDIR)$(BASHCOMPDIR) $(DESTDIR)$(FISHCOMPDIR) $(DESTDIR)$(ZSHCOMPDIR)
	$(INSTALL) -m 644 packaging/completions/mcastd.bash $(DESTDIR)$(BASHCOMPDIR)/mcastd
	$(INSTALL) -m 644 packaging/completions/mcastctl.bash $(DESTDIR)$(BASHCOMPDIR)/mcastctl
	$(if $(fish_completions),$(INSTALL) -m 644 $(fish_completions) $(DESTDIR)$(FISHCOMPDIR))
	$(INSTALL) -m 644 packaging/completions/_mcastd packaging/completions/_mcastctl $(DESTDIR)$(ZSHCOMPDIR)
	@if [ -e $(confdir)/mcastd.conf ]; then echo "$(confdir)/mcastd.conf exists and is kept"; \
	else set -x; $(INSTALL) -m 644 etc/mcastd.conf $(confdir)/mcastd.conf; fi
	+@if command -v $(SCDOC) >/dev/null; then $(MAKE) install-man; \
	else echo 'The manual pages are not installed: scdoc is missing.'; fi
	$(if $(DESTDIR),,@echo 'To run it under systemd: $(service_advice)')

systemd_files := $(DESTDIR)$(SYSUSERSDIR)/mcastd.conf $(DESTDIR)$(CATALOGDIR)/mcastd.catalog \
	$(addprefix $(DESTDIR)$(SYSTEMDUNITDIR)/,mcastd.service mcastd@.service mcastd.socket mcastd@.socket mcastd.slice)
# Puts in what both services have in common, and the paths.
fill_in = sed -e '/^@COMMON@$$/{r systemd/common.conf' -e 'd}' -e 's|@BINDIR@|$(BINDIR)|g' \
	-e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' -e 's|@DOCDIR@|$(DOCDIR)|g' \
	systemd/$(1).in | $(INSTALL) -m 644 /dev/stdin $(DESTDIR)$(SYSTEMDUNITDIR)/$(1)

install-systemd:
	$(INSTALL) -d $(sort $(dir $(systemd_files))) $(DESTDIR)$(DOCDIR)/examples/systemd
	$(INSTALL) -m 644 systemd/mcastd.socket systemd/mcastd@.socket systemd/mcastd.slice $(DESTDIR)$(SYSTEMDUNITDIR)
	$(call fill_in,mcastd.service)
	$(call fill_in,mcastd@.service)
	$(INSTALL) -m 644 systemd/mcastd.sysusers $(DESTDIR)$(SYSUSERSDIR)/mcastd.conf
	$(INSTALL) -m 644 systemd/mcastd.catalog $(DESTDIR)$(CATALOGDIR)
	$(INSTALL) -m 644 $(wildcard systemd/examples/*) $(DESTDIR)$(DOCDIR)/examples/systemd

install-man: man
	$(INSTALL) -d $(foreach section,1 5 7 8,$(DESTDIR)$(MANDIR)/man$(section))
	$(INSTALL) -m 644 $(BUILD)/man/mcastctl.1 $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 644 $(BUILD)/man/mcastd.conf.5 $(DESTDIR)$(MANDIR)/man5
	$(INSTALL) -m 644 $(BUILD)/man/io.mcastd.7 $(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 644 $(BUILD)/man/mcastd.8 $(DESTDIR)$(MANDIR)/man8
	for page in $(unit_pages); do ln -sf mcastd.8 $(DESTDIR)$(MANDIR)/man8/$$page || exit; done

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/mcastd $(addprefix $(DESTDIR)$(BINDIR)/,mcastd mcastctl) $(systemd_files)
	rm -rf $(DESTDIR)$(DOCDIR) $(DESTDIR)$(DATADIR) $(moduledir)
	rm -f $(foreach page,$(man_pages) $(unit_pages),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(page))
	rm -f $(DESTDIR)$(BASHCOMPDIR)/mcastd $(DESTDIR)$(BASHCOMPDIR)/mcastctl
	rm -f $(DESTDIR)$(FISHCOMPDIR)/mcastd.fish $(DESTDIR)$(FISHCOMPDIR)/mcastctl.fish
	rm -f $(DESTDIR)$(ZSHCOMPDIR)/_mcastd $(DESTDIR)$(ZSHCOMPDIR)/_mcastctl

# ---- Packages ----

source_archive := $(BUILD)/mcastd-$(VERSION).tar.gz

dist:
	$(Q)packaging/dist $(source_archive)

deb: dist
	$(Q)packaging/build-deb $(source_archive) $(BUILD)/deb

rpm: dist
	$(Q)packaging/build-rpm $(source_archive) $(BUILD)/rpm

clean:
	rm -rf $(BUILD)
