# overlay.nix: an overlay for nixpkgs. Its dockerTools is that of dt. Functions that only nixpkgs has stay there.
final: prev: {
  dt = final.callPackage ./package.nix { };
  dockerTools = (prev.dockerTools or { }) // import ./dockertools.nix {
    pkgs = final;
    dt = final.buildPackages.dt or final.dt;
  };
  nix-prefetch-docker = final.dockerTools.nix-prefetch-docker;
}
