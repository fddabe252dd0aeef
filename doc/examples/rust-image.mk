# rust-image.mk: makes an image of a static program in Rust, without a store.
#
#     make -f rust-image.mk NAME=hello
#
# The sources are src/main.rs and the files that it names. The directory files/ has other files for the root of
# the image, and config.json is the configuration. The result is NAME.tar, in which the program is /bin/NAME.
# File names cannot have blanks.
#
# The program contains the C library, so the image needs no other file. rustc lists the files that it has read, in
# out/NAME.d. So a change of any of them makes the program again. The files and the program are a layer each, and
# an update of the program sends only its layer.
NAME      = hello
TAG       = latest
RUSTC     = rustc
RUSTFLAGS = -O -C target-feature=+crt-static -C strip=symbols

# If a command fails, make removes its target.
.DELETE_ON_ERROR:

$(NAME).tar: out/files.tar out/$(NAME)-program.tar config.json $(MAKEFILE_LIST)
	dt-manifest --name $(NAME) --tag $(TAG) --config config.json -o $@ out/files.tar out/$(NAME)-program.tar

out/$(NAME)-program.tar: out/$(NAME)/bin/$(NAME)
	dt-root --tree out/$(NAME) -o $@

# The directories are in this list, too, because the time of a directory changes if a file in it is removed.
out/files.tar: $(shell find files)
	mkdir -p $(@D)
	dt-root --tree files -o $@

# The binary does not contain the name of this directory.
out/$(NAME)/bin/$(NAME): src/main.rs $(MAKEFILE_LIST)
	mkdir -p $(@D)
	$(RUSTC) $(RUSTFLAGS) --remap-path-prefix '$(CURDIR)'=. --emit=dep-info=out/$(NAME).d,link=$@ src/main.rs

-include out/$(NAME).d
