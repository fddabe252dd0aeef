# package.nix: dt as a derivation, for callPackage of nixpkgs.
#
#     dt = pkgs.callPackage ./package.nix { };
#     dockerTools = dt.dockerTools;
#
# The scripts find their programs in libexec/dt/programs, a directory of symlinks that this file makes from the list
# lib/programs.txt. The engines of dt-load are not among them, because they belong to the system.
{ stdenv
, pkgs
, makeWrapper
, pkg-config
, curl
, fuse3
, isa-l ? null
, jansson
, libarchive
, libdeflate
, libsodium
, openssl
, sqlite
, zlib
, zstd
, # Whether runAsRoot can use a virtual machine. QEMU is large.
  withVM ? true
}:
let
  inherit (builtins) concatStringsSep elem elemAt filter foldl' isString match readFile split;
  words = separator: text: filter (word: isString word && word != "") (split separator text);

  # The rows of the list: program, group, package of Debian, package of nixpkgs.
  rows = map (words " +") (filter (line: match "#.*" line == null) (words "\n" (readFile ./lib/programs.txt)));
  groups = [ "base" "root" "fallback" ] ++ (if withVM then [ "vm" ] else [ ]);
  # newuidmap and newgidmap work only as programs of the system that root has made set-user-ID.
  wanted = row: elem (elemAt row 1) groups && elemAt row 3 != "shadow";
  packageOf = row: foldl' (set: name: set.${name}) pkgs (words "[.]" (elemAt row 3));
  links = concatStringsSep "\n" (map (row: "link ${elemAt row 0} ${(packageOf row).bin or (packageOf row)}") (filter wanted rows));

  source = toString ../.;
  isSource = path: type:
    let name = builtins.substring (builtins.stringLength source + 1) (-1) path; in
    match "(Makefile|(cmd|common|doc|guest|scripts)(/.*)?|t|t/fuzz-main.c|t/(fuzz|unit)(/[^/]*[.][ch])?)" name != null;
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
  buildInputs = [ curl fuse3 jansson libarchive libdeflate libsodium openssl sqlite zlib zstd ]
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
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
})
