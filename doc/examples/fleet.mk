# fleet.mk: makes many images that share layers, several at once, with one cache.
#
#     make -j8 -f fleet.mk
#
# The images are those of the files images/NAME.json, which contain the configurations. The store paths that a
# configuration names, and all store paths that these need, are in the image out/NAME.tar.
#
# dt-fleet plans all images together, so that images have equal layers and a registry keeps each layer once. A
# plan is replaced only if it is different. So a change makes only those images again whose layers change. All
# processes use the cache in cache/, which keeps the digests of the layers.
STORE = /nix/store
TAG   = latest
export DT_CACHE ?= $(CURDIR)/cache

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:

names := $(patsubst images/%.json,%,$(wildcard images/*.json))
# move-if-changed: replaces the file $2 by $1 if the two differ.
move-if-changed = if cmp -s $1 $2; then rm $1; else mv $1 $2; fi

all: $(names:%=out/%.tar)
.PHONY: all FORCE

out/%.graph: FORCE
	mkdir -p $(@D)
	dt-closure --store $(STORE) --text -o $@.new <images/$*.json
	$(call move-if-changed,$@.new,$@)

# This stamp is newer than all plans if no graph has changed.
out/plans: $(names:%=out/%.graph)
	mkdir -p out/new
	dt-fleet --max-layers 100 $^ out/new >$@
	for name in $(names); do $(call move-if-changed,out/new/$$name.plan,out/$$name.plan); done

# The recipe does nothing, but after it make looks at the time of the plan again.
out/%.plan: out/plans
	@true

out/%.tar: out/%.plan images/%.json $(MAKEFILE_LIST)
	dt-layer --store $(STORE) <$< | dt-manifest --name $* --tag $(TAG) --config images/$*.json -o $@
