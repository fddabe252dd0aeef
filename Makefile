# dt: container images from store paths.
#
#   make                    the tools, in build/
#   make check              all tests;  make check SANITIZE=address,undefined
#   make bench              timings
#   make fuzz               libFuzzer, by clang, for FUZZ_SECONDS each;  FUZZ_TARGETS="flatten stream"
#   make fault              failing system calls, killed programs and killed processes
#   make lint               formatting and shellcheck
#   make install            to $(DESTDIR)$(PREFIX)

VERSION  = 0.1
PREFIX   = /usr/local
SANITIZE =
CC      ?= cc
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	   -Wpointer-arith -Wcast-qual -Wvla -Wconversion -Wno-sign-conversion
B        = build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
comma    = ,

# What uncompresses gzip: isal, or zlib, which is slower, where there is no ISA-L.
GUNZIP  := $(if $(shell pkg-config --exists libisal && echo yes),isal,zlib)
SOURCES  = $(filter-out $(patsubst %,common/archive/gunzip-%.c,$(filter-out $(GUNZIP),isal zlib)), \
	   $(wildcard common/*/*.c))
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
ALL_CFLAGS = -std=c17 -pthread $(WARN) $(CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE))
# Each tool is linked with the libraries that it calls, and no more.
LINK     = mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) \
	   -Wl,--as-needed $(LIBS)

# libFuzzer, in a build whose SANITIZE has fuzzer-no-link. Other builds replay the seeds.
FUZZ_ENGINE = $(if $(findstring fuzzer,$(SANITIZE)),-fsanitize=fuzzer)
FUZZ_SECONDS = 60
FUZZ_TARGETS =

# What dt-vmrun's guest runs: without libraries, and never with sanitizers.
INIT     = guest/init.c \
	   $(foreach m,broker buf err hardlinks io mem num spawn utf8,common/base/$m.c) \
	   $(foreach m,tar xattrs,common/archive/$m.c) \
	   $(foreach m,changes changes-tar copytree jail jail-mounts report,common/run/$m.c)

all: $(TOOLS:%=$B/%) $B/guest/init $(UNITS:%=$B/unit/%) $(FUZZERS:%=$B/fuzz/%) $B/fault/main.so

$(TOOLS:%=$B/%): $B/%: $B/cmd/%.o $B/libdt.a
$(UNITS:%=$B/unit/%): $B/unit/%: $B/t/unit/%.o $B/libdt.a
$(FUZZERS:%=$B/fuzz/%): $B/fuzz/%: $B/t/fuzz/%.o $(if $(FUZZ_ENGINE),,$B/t/fuzz-main.o) $B/libdt.a
$(FUZZERS:%=$B/fuzz/%): LDFLAGS += $(FUZZ_ENGINE)
$(TOOLS:%=$B/%) $(UNITS:%=$B/unit/%) $(FUZZERS:%=$B/fuzz/%):
	$(LINK)

$B/guest/init: $(INIT) $(wildcard common/*/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -DDT_VERSION='"$(VERSION)"' -Icommon $(WARN) -O2 -static -s \
	    -o $@ $(INIT)

$B/fault/main.so: t/fault/main.c Makefile
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(WARN) -O2 -shared -fPIC -o $@ $<

$B/libdt.a: $(SOURCES:%.c=$B/%.o)
	rm -f $@ && $(AR) rcs $@ $^

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

check: all
	DT_BUILD='$(abspath $B)' JOBS='$(JOBS)' t/run t/*.t

fault: all
	DT_BUILD='$(abspath $B)' t/fault/run
	DT_BUILD='$(abspath $B)' t/fault/programs
	DT_BUILD='$(abspath $B)' t/fault/kills

bench: all
	DT_BUILD='$(abspath $B)' t/bench/run

fuzz:
	$(MAKE) CC=clang SANITIZE=address,undefined,fuzzer-no-link B=build-fuzz
	DT_BUILD='$(abspath build-fuzz)' t/fuzz/run $(FUZZ_SECONDS) $(FUZZ_TARGETS)

lint:
	clang-format --dry-run --Werror cmd/*.c common/*/*.[ch] guest/*.c t/unit/*.[ch] t/fuzz/*.[ch] t/fuzz-main.c t/fault/*.c
	shellcheck -x $(filter-out scripts/lib %.nix,$(wildcard scripts/*)) scripts/lib/*.bash t/*.t t/*.sh t/realstore t/run t/with-nix t/fault/kills t/fault/programs t/fault/run .ci/run

install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin libexec/dt share/dt share/man/man1 share/man/man5 \
	    share/man/man7)
	install -m 755 $(TOOLS:%=$B/%) $(SCRIPTS) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $B/guest/init $(DESTDIR)$(PREFIX)/libexec/dt
	install -m 644 scripts/lib/*.bash scripts/lib/*.jq scripts/lib/programs.* \
	    scripts/lib/shadow-setup.sh scripts/dockertools.nix $(DESTDIR)$(PREFIX)/share/dt
	for s in 1 5 7; do install -m 644 doc/*.$$s $(DESTDIR)$(PREFIX)/share/man/man$$s || exit; done

clean:
	rm -rf build build-* sample

.PHONY: all check bench fault fuzz lint install clean
-include $(wildcard $B/*/*.d $B/*/*/*.d)
