# dt: container images from store paths.
#
#   make                    the tools, in build/
#   make check              all tests;  make check SANITIZE=address,undefined
#   make bench fuzz lint    timings, fuzzers for longer, formatting and shellcheck
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

TOOLS    = dt-closure dt-popularity dt-fleet dt-cost dt-layer dt-manifest dt-flatten \
	   dt-nixdb dt-compress dt-drv dt-pull dt-vmrun
MODULES  = arrange autolayer blobs buf bundle busybox cache challenge closure cluster compress \
	   compress-gzip compress-zstd config config-check config-fit cost cost-images cpio credentials derivations digest disks \
	   dockerarchive draft draw drv edges erofs err export fetch fleet graph guest gunzip \
	   gunzip-$(GUNZIP) hashes helper http http-url image image-archive image-choice image-layers intake io io-output jail \
	   job json kernel kin lay layer layercheck layernote links login lower manifest mem merge merged names nar nar-write \
	   nixdb nixdb-tree nixdb-write num opt pack path piece pipeline plan platform pool \
	   popularity previous progress reference registration registry relation relay \
	   rootfs rootfs-write scan secret sink sources store talk tar tartree timestamp transfer \
	   tree tree-merge tree-scan tree-state unpack unpack-index unpack-limit unpack-list unpack-records unpack-stream userns \
	   utf8 vm weights writer xattrs
SCRIPTS  = $(shell find scripts -type f -name 'dt-*')
UNITS    = $(notdir $(basename $(wildcard t/unit/*.c)))
FUZZERS  = $(notdir $(basename $(wildcard t/fuzz/*.c)))

# What uncompresses gzip: isal, or zlib, which is slower, where there is no ISA-L.
GUNZIP  := $(if $(shell pkg-config --exists libisal && echo yes),isal,zlib)
LIBS_gunzip = $(if $(filter isal,$(GUNZIP)),libisal,zlib)

PKGS     = libarchive libcrypto libcurl libdeflate libsodium libzstd fuse3 jansson sqlite3 \
	   $(LIBS_gunzip)
ALL_CPPFLAGS = -D_GNU_SOURCE -DDT_VERSION='"$(VERSION)"' -Icommon $(CPPFLAGS) \
	   $(shell pkg-config --cflags $(PKGS))
ALL_CFLAGS = -std=c17 -pthread $(WARN) $(CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LINK     = mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

# The libraries each tool links, and no more.
LIBS_dt-closure    = libcrypto libsodium jansson sqlite3
LIBS_dt-popularity = libsodium jansson
LIBS_dt-fleet      = libsodium
LIBS_dt-cost       = libsodium jansson
LIBS_dt-layer      = libarchive libcrypto libsodium libzstd jansson $(LIBS_gunzip)
LIBS_dt-manifest   = libarchive libcrypto libsodium libzstd jansson $(LIBS_gunzip)
LIBS_dt-flatten    = libarchive libcrypto libsodium libzstd jansson $(LIBS_gunzip)
LIBS_dt-nixdb      = libcrypto libsodium jansson sqlite3
LIBS_dt-compress   = libarchive libcrypto libdeflate libsodium libzstd jansson
LIBS_dt-drv        = libcrypto libsodium jansson
LIBS_dt-pull       = libarchive libcrypto libcurl libsodium libzstd jansson $(LIBS_gunzip)
LIBS_dt-vmrun      = libarchive libcrypto libsodium libzstd fuse3 jansson $(LIBS_gunzip)
pkg      = $(if $(strip $(1)),$(shell pkg-config --libs $(1)))

# What dt-vmrun's guest runs: without libraries, and never with sanitizers.
INIT     = guest/init.c $(patsubst %,common/%.c,buf err io jail lay links mem num pack talk tar utf8 xattrs)

all: $(TOOLS:%=$B/%) $B/guest/init $(UNITS:%=$B/unit/%) $(FUZZERS:%=$B/fuzz/%)

$(TOOLS:%=$B/%): $B/%: $B/cmd/%.o $B/libdt.a
	$(LINK) $(call pkg,$(LIBS_$*))

$(UNITS:%=$B/unit/%): $B/unit/%: $B/t/unit/%.o $B/libdt.a
	$(LINK) $(call pkg,$(PKGS))

$(FUZZERS:%=$B/fuzz/%): $B/fuzz/%: $B/t/fuzz/%.o $B/t/fuzz-main.o $B/libdt.a
	$(LINK) $(call pkg,$(PKGS))

$B/guest/init: $(INIT) $(wildcard common/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -DDT_VERSION='"$(VERSION)"' -Icommon $(WARN) -O2 -static -s \
	    -o $@ $(INIT)

$B/libdt.a: $(MODULES:%=$B/common/%.o)
	rm -f $@ && $(AR) rcs $@ $^

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

check: all
	DT_BUILD='$(abspath $B)' prove -j$(or $(JOBS),2) t/*.t

bench: all
	DT_BUILD='$(abspath $B)' t/bench/run

fuzz: all
	DT_BUILD='$(abspath $B)' t/fuzz/run

lint:
	clang-format --dry-run --Werror cmd/*.c common/*.[ch] guest/*.c t/unit/*.[ch] t/fuzz/*.c t/fuzz-main.c
	shellcheck -x $(filter-out scripts/lib,$(wildcard scripts/*)) scripts/lib/*.bash t/*.t t/*.sh t/realstore t/with-nix .ci/run

install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin libexec/dt share/dt share/man/man1 share/man/man5 \
	    share/man/man7)
	install -m 755 $(TOOLS:%=$B/%) $(SCRIPTS) $(DESTDIR)$(PREFIX)/bin
	cp -P $(filter-out $(SCRIPTS),$(wildcard scripts/dt-*)) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $B/guest/init $(DESTDIR)$(PREFIX)/libexec/dt
	install -m 644 scripts/lib/*.bash scripts/lib/*.jq $(DESTDIR)$(PREFIX)/share/dt
	for s in 1 5 7; do install -m 644 doc/*.$$s $(DESTDIR)$(PREFIX)/share/man/man$$s || exit; done

clean:
	rm -rf build build-* sample

.PHONY: all check bench fuzz lint install clean
-include $(wildcard $B/*/*.d $B/t/*/*.d)
