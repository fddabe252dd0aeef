# package.nix: dt as a derivation, for callPackage of nixpkgs.
#
#     dt = pkgs.callPackage ./package.nix { };
#     dockerTools = dt.dockerTools;
#
# The scripts find their programs in libexec/dt/programs, a directory of symlinks that this file makes from the list
# lib/programs.txt. The engines of dt-load are not among them, because they belong to the system. dockertools.nix adds
# the programs of other groups to the builders that need them.
{ stdenv
, pkgs
, makeWrapper
, pkg-config
, bash
, curl
, fuse3
, isa-l ? null
, jansson
, libarchive
, libdeflate
, libseccomp
, libsodium
, openssl
, sqlite
, zlib
, zstd
, # Whether dt-vmrun finds QEMU here. QEMU is large, and dockertools.nix has its own way.
  withVM ? false
}:
let
  inherit (builtins) concatStringsSep elemAt map match readFile;
  programs = import ./lib/programs.nix {
    inherit pkgs;
    groups = [ "base" "root" ] ++ (if withVM then [ "vm" ] else [ ]);
  };
  links = concatStringsSep "\n" (map ({ program, package }: "link ${program} ${package}") programs);

  source = toString ../.;
  isSource = path: type:
    let name = builtins.substring (builtins.stringLength source + 1) (-1) path; in
    match "(Makefile|(cmd|common|doc|guest|scripts)(/.*)?)" name != null;
in
stdenv.mkDerivation (self: {
  pname = "dt";
  version = elemAt (match ".*\nVERSION *= ([0-9.]+)\n.*" (readFile ../Makefile)) 0;
  src = builtins.path {
    name = "dt-source";
    path = ../.;
    filter = isSource;
  };
  strictDeps = true;
  nativeBuildInputs = [ makeWrapper pkg-config ];
  # bash is for the scripts: strictDeps makes nixpkgs look for their interpreter here.
  buildInputs = [ bash curl fuse3 jansson libarchive libdeflate libseccomp libsodium openssl sqlite zlib zstd ]
    ++ (if isa-l == null then [ ] else [ isa-l ])
    # For the static program that dt-vmrun boots.
    ++ (if stdenv.cc.libc ? static then [ stdenv.cc.libc.static ] else [ ]);
  makeFlags = [ "PREFIX=$(out)" ];
  enableParallelBuilding = true;
  inherit links;
  postInstall = ''
    programs=$out/libexec/dt/programs
    mkdir "$programs"
    link() {
      [ -x "$2/bin/$1" ] || { echo "$2 has no program $1" >&2; exit 1; }
      ln -s "$2/bin/$1" "$programs/$1"
    }
    eval "$links"
    for program in scripts/dt-* dt-vmrun; do
      wrapProgram "$out/bin/''${program##*/}" --prefix PATH : "$programs"
    done
  '';
  passthru.dockerTools = import ./dockertools.nix {
    inherit pkgs;
    dt-images = self.finalPackage;
  };
  meta = {
    description = "Container images from store paths";
    license = {
      spdxId = "MIT";
      fullName = "MIT License";
      free = true;
    };
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
})
