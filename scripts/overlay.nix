# overlay.nix: an overlay for nixpkgs. Its dockerTools is that of dt. Functions that only nixpkgs has stay there. dt is
# called dt-images, because nixpkgs has another dt.
final: prev: {
  dt-images = final.callPackage ./package.nix { };
  dockerTools = (prev.dockerTools or { }) // import ./dockertools.nix {
    pkgs = final;
    dt-images = final.buildPackages.dt-images or final.dt-images;
  };
  nix-prefetch-docker = final.dockerTools.nix-prefetch-docker;
}
