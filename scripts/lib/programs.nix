# programs.nix: the programs of these groups in programs.txt, and the packages of nixpkgs that have them.
#
#     import ./programs.nix { inherit pkgs; groups = [ "base" "root" ]; }
#
# The result is a list of { program, package }. newuidmap and newgidmap are left out: they work only as programs of the
# system that root has made set-user-ID.
{ pkgs, groups }:
let
  inherit (builtins) elem elemAt filter foldl' isString map match readFile split;
  words = separator: text: filter (word: isString word && word != "") (split separator text);
  rows = map (words " +") (filter (line: match "#.*" line == null) (words "\n" (readFile ./programs.txt)));
  wanted = row: elem (elemAt row 1) groups && elemAt row 3 != "shadow";
in
map
  (row:
    let package = foldl' (set: name: set.${name}) pkgs (words "[.]" (elemAt row 3)); in {
      program = elemAt row 0;
      package = package.bin or package;
    })
  (filter wanted rows)
