# dt: container images from store paths.
#
#   make                    the tools, in build/;  make tests: what the tests need, too
#   make check              all tests;  make check SANITIZE=address,undefined
#   make check SANITIZE=thread   the tests of the tools with threads
#   make valgrind           each tool once, under memcheck
#   make coverage           the lines that TESTS run
#   make bench              timings;  BENCH="pull push";  make figures: all, and doc/figures.md
#   make lint               clang-format, shellcheck, cppcheck and clang-tidy
#   make fuzz               libFuzzer, by clang, for FUZZ_SECONDS each;  FUZZ_TARGETS="flatten stream"
#   make fault              failing system calls, killed programs and killed processes
#   make man html           the manual for `man -M build/man dt`, and as HTML in build/html
#   make dist               build/dist/dt-VERSION.tar.gz of the last commit
#   make install            to $(DESTDIR)$(PREFIX)

VERSION  = 0.1
PREFIX   = /usr/local
# Where the shells look for completions.
BASH_DIR = $(PREFIX)/share/bash-completion/completions
ZSH_DIR  = $(PREFIX)/share/zsh/site-functions
FISH_DIR = $(PREFIX)/share/fish/vendor_completions.d
EXAMPLES = $(PREFIX)/share/doc/dt/examples
SANITIZE =
CC      ?= cc
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	   -Wpointer-arith -Wcast-qual -Wvla -Wconversion -Wno-sign-conversion
B        = build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
comma    = ,

# Hardening. CFLAGS and LDFLAGS come after it. Without optimisation, glibc warns about _FORTIFY_SOURCE; with sanitizers,
# its functions would hide errors from them. Level 3 is level 2 where the compiler does not have it.
FORTIFY  = $(if $(SANITIZE),,$(if $(filter-out -O0,$(filter -O%,$(CFLAGS))),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3))
HARDEN   = -fPIE -fstack-protector-strong
HARDEN_LINK = -Wl,-z,relro,-z,now
# The directories of the sources and of the build are not in the binaries.
REPRODUCIBLE = -ffile-prefix-map='$(CURDIR)'=.

# What uncompresses gzip: isal, or zlib, which is slower, where there is no ISA-L.
GUNZIP  := $(if $(shell pkg-config --exists libisal && echo yes),isal,zlib)
SOURCES  = $(filter-out $(patsubst %,common/archive/gunzip-%.c,$(filter-out $(GUNZIP),isal zlib)), \
	   $(sort $(wildcard common/*/*.c)))
TOOLS    = $(notdir $(basename $(wildcard cmd/*.c)))
SCRIPTS  = $(shell find scripts -type f -name 'dt-*')
UNITS    = $(notdir $(basename $(wildcard t/unit/*.c)))
FUZZERS  = $(notdir $(basename $(wildcard t/fuzz/*.c)))

PKGS     = libarchive libcrypto libcurl libdeflate libseccomp libsodium libzstd fuse3 jansson \
	   sqlite3 \
	   $(GUNZIP:isal=libisal)
LIBS    := $(shell pkg-config --libs $(PKGS))
ALL_CPPFLAGS := -D_GNU_SOURCE -DDT_VERSION='"$(VERSION)"' -Icommon $(CPPFLAGS) \
	   $(shell pkg-config --cflags $(PKGS))
ALL_CFLAGS = -std=c17 -pthread $(WARN) $(REPRODUCIBLE) $(HARDEN) $(FORTIFY) $(CFLAGS) \
	   $(if $(SANITIZE),-fsanitize=$(SANITIZE))
# Each tool is linked with the libraries that it calls, and no more.
LINK     = mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -pie $(HARDEN_LINK) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) \
	   -Wl,--as-needed $(LIBS)

# libFuzzer, in a build whose SANITIZE has fuzzer-no-link. Other builds replay the seeds.
FUZZ_ENGINE = $(if $(findstring fuzzer,$(SANITIZE)),-fsanitize=fuzzer)
FUZZ_SECONDS = 60
FUZZ_TARGETS =
BENCH    =

# What dt-vmrun's guest runs: without libraries, and never with CFLAGS or sanitizers.
INIT     = guest/init.c \
	   $(foreach m,broker buf err fdpass hardlinks io mem num spawn terminal utf8,common/base/$m.c) \
	   $(foreach m,tar xattrs,common/archive/$m.c) \
	   $(foreach m,changes changes-tar copytree jail jail-mounts report,common/run/$m.c)

all: $(TOOLS:%=$B/%) $B/guest/init completions
tests: all $(UNITS:%=$B/unit/%) $(FUZZERS:%=$B/fuzz/%) $B/fault/main.so

$(TOOLS:%=$B/%): $B/%: $B/cmd/%.o $(EXTRA) $B/libdt.a
$(UNITS:%=$B/unit/%): $B/unit/%: $B/t/unit/%.o $B/libdt.a
$(FUZZERS:%=$B/fuzz/%): $B/fuzz/%: $B/t/fuzz/%.o $(if $(FUZZ_ENGINE),,$B/t/fuzz-main.o) $B/libdt.a
$(FUZZERS:%=$B/fuzz/%): LDFLAGS += $(FUZZ_ENGINE)
$(TOOLS:%=$B/%) $(UNITS:%=$B/unit/%) $(FUZZERS:%=$B/fuzz/%):
	$(LINK)

$B/guest/init: $(INIT) $(wildcard common/*/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -DDT_VERSION='"$(VERSION)"' -Icommon $(WARN) $(REPRODUCIBLE) \
	    $(HARDEN) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -static-pie $(HARDEN_LINK) -s -o $@ $(INIT)

$B/fault/main.so: t/fault/main.c Makefile
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(WARN) -O2 -shared -fPIC -o $@ $<

# The completions for shells, made from what --help prints.
completions: $B/completions/made
$B/completions/made: scripts/completions $(TOOLS:%=$B/%) $(SCRIPTS)
	rm -rf $(@D)
	bash scripts/completions $(@D) $(TOOLS:%=$B/%) $(SCRIPTS)
	touch $@

# The manual: for man -M $B/man, and as HTML.
man:
	rm -rf $B/man
	for s in 1 5 7; do install -d $B/man/man$$s && install -m 644 doc/*.$$s $B/man/man$$s || exit; done
html:
	rm -rf $B/html
	scripts/html $B/html $(wildcard doc/*.[157])

$B/libdt.a: $(SOURCES:%.c=$B/%.o)
	rm -f $@ && $(AR) rcsD $@ $^

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# With the thread sanitizer: the tests of the tools that have threads, and of the modules.
THREADED = 0002 0110 0140 0300 0320 0640 0645 0730 0740 0745 0747
TESTS   ?= $(if $(findstring thread,$(SANITIZE)),$(wildcard $(THREADED:%=t/%-*.t)),$(wildcard t/*.t))

check: tests
	DT_BUILD='$(abspath $B)' JOBS='$(JOBS)' t/run $(TESTS)

valgrind: tests
	DT_BUILD='$(abspath $B)' t/memcheck

# The tools write their counts where they die, too: t/coverage.c.
coverage:
	$(MAKE) tests CC=gcc CFLAGS='-O0 -g --coverage -fprofile-update=atomic' LDFLAGS='--coverage -Wl,--wrap=_exit' \
	    B=build-coverage EXTRA=build-coverage/t/coverage.o
	find build-coverage -name '*.gcda' -delete
	-$(MAKE) check CC=gcc CFLAGS='-O0 -g --coverage -fprofile-update=atomic' B=build-coverage TESTS='$(TESTS)'
	t/coverage build-coverage

fault: tests
	DT_BUILD='$(abspath $B)' t/fault/run
	DT_BUILD='$(abspath $B)' t/fault/programs
	DT_BUILD='$(abspath $B)' t/fault/kills

bench: tests
	DT_BUILD='$(abspath $B)' t/bench/run --json $B/bench.json $(BENCH)

figures: bench
	t/bench/table <$B/bench.json >doc/figures.md.new
	mv doc/figures.md.new doc/figures.md

fuzz:
	$(MAKE) tests CC=clang SANITIZE=address,undefined,fuzzer-no-link B=build-fuzz
	DT_BUILD='$(abspath build-fuzz)' t/fuzz/run $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# Each shell script is checked by a process of its own: one process for all takes twice the time. LINT=quick, which
# t/0001-tree.t uses, checks a test without t/lib.sh, which takes as long as the rest. So shellcheck finds no unset and no
# unused variables there; `set -u` finds the unset ones. With it, cppcheck and clang-tidy check only the tools.
LINT     =
C_FILES  = $(wildcard cmd/*.c common/*/*.c guest/*.c t/*/*.c t/*.c)
SHELLS   = $(wildcard t/*.sh scripts/lib/*.bash debian/programs) $(shell find .ci doc/examples guest scripts t -type f ! -path 't/fuzz/seeds/*' \
	   -exec awk 'FNR == 1 && /^.!.*[ \/](ba)?sh( |$$)/ { print FILENAME } { nextfile }' {} +)
LINTED   = $(if $(LINT),$(filter-out t/%,$(C_FILES)),$(C_FILES))
LINT_BATCH = 8
EACH     = printf '%s\n' $1 | xargs -n $2 -P "$$(nproc)"

lint: lint-format lint-shell lint-cppcheck lint-tidy
lint-format:
	clang-format --dry-run --Werror $(C_FILES) $(wildcard common/*/*.h t/unit/*.h t/fuzz/*.h)
lint-shell:
	$(call EACH,$(if $(LINT),$(filter-out %.t,$(SHELLS)),$(SHELLS)),1) shellcheck -x
	$(if $(LINT),$(call EACH,$(filter %.t,$(SHELLS)),1) shellcheck -e SC1091$(comma)SC2034$(comma)SC2154)
lint-cppcheck:
	$(call EACH,$(LINTED),$(LINT_BATCH)) cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
	    --enable=warning,performance,portability --library=posix,t/cppcheck.cfg \
	    --suppressions-list=t/cppcheck.supp -Icommon -D_GNU_SOURCE -DDT_VERSION='"$(VERSION)"' '-D__attribute__(x)='
lint-tidy:
	$(call EACH,$(LINTED),$(LINT_BATCH)) sh -c 'eval "clang-tidy --quiet $$* -- -std=c17 $$0" 2>/dev/null' \
	    '$(subst ','\'',$(ALL_CPPFLAGS))'

install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin libexec/dt share/dt share/man/man1 share/man/man5 \
	    share/man/man7) $(addprefix $(DESTDIR),$(BASH_DIR) $(ZSH_DIR) $(FISH_DIR) $(EXAMPLES))
	install -m 755 $(TOOLS:%=$B/%) $(SCRIPTS) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $B/guest/init $(DESTDIR)$(PREFIX)/libexec/dt
	install -m 644 scripts/lib/*.awk scripts/lib/*.bash scripts/lib/*.jq scripts/lib/programs.* \
	    scripts/lib/shadow-setup.sh scripts/dockertools.nix $(DESTDIR)$(PREFIX)/share/dt
	for s in 1 5 7; do install -m 644 doc/*.$$s $(DESTDIR)$(PREFIX)/share/man/man$$s || exit; done
	install -m 644 $B/completions/bash/* $(DESTDIR)$(BASH_DIR)
	install -m 644 $B/completions/zsh/* $(DESTDIR)$(ZSH_DIR)
	install -m 644 $B/completions/fish/* $(DESTDIR)$(FISH_DIR)
	install -m 644 $(wildcard doc/examples/*.*) $(DESTDIR)$(EXAMPLES)
	install -m 755 $(filter-out $(wildcard doc/examples/*.*),$(wildcard doc/examples/*)) $(DESTDIR)$(EXAMPLES)

# The tracked files of the last commit, with its time and no other owners. The bytes depend on the commit, git and gzip.
dist:
	mkdir -p $B/dist
	[ "$$(git rev-parse --show-toplevel)" = "$$(realpath .)" ] || { echo 'make dist needs a git checkout' >&2; exit 1; }
	git -c tar.umask=0022 archive --format=tar --prefix=dt-$(VERSION)/ -o $B/dist/dt-$(VERSION).tar HEAD
	gzip -nf9 $B/dist/dt-$(VERSION).tar

clean:
	rm -rf build build-* sample

.PHONY: all tests completions man html check valgrind coverage bench figures fault fuzz lint lint-format lint-shell lint-cppcheck lint-tidy install dist clean
-include $(wildcard $B/*/*.d $B/*/*/*.d)
