# image.mk: makes an image of a store path, and makes it again only if its inputs have changed.
#
#     make -f image.mk APP=./result
#
# APP is a store path, or a symlink to one, such as the ./result of nix-build. The inputs are the store paths
# that APP needs, the directory files/ for the root of the image, and the configuration in config.json. The
# result is app.tar.
#
# All files of a store have the same time, so make cannot see from their times that APP has changed. But each
# change gives a new store path. So the image depends on the graph, which lists the store paths. Each run makes
# the graph again, and replaces the old one only if it is different. File names in files/ cannot have blanks.
NAME  = app
TAG   = latest
APP   = ./result
STORE = /nix/store

# A pipeline fails if any of its programs fails, and make then removes the target.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

$(NAME).tar: $(NAME).graph files.tar config.json $(MAKEFILE_LIST)
	dt-popularity <$(NAME).graph | dt-layer --store $(STORE) | \
	    dt-manifest --name $(NAME) --tag $(TAG) --config config.json -o $@ - files.tar

$(NAME).graph: FORCE
	dt-closure --store $(STORE) -o $@.new $(APP)
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# A directory is in this list, too, because its time changes if a file in it is removed.
files.tar: $(shell find files)
	dt-root --tree files -o $@

FORCE:
.PHONY: FORCE
