# The flake of dt: `?dir=scripts` in its URL, because a flake.nix at the top would be the only file there that most
# builds of dt never read.
{
  description = "dt: container images from store paths";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { nixpkgs, ... }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: builtins.listToAttrs (map (system: {
        name = system;
        value = f nixpkgs.legacyPackages.${system};
      }) systems);
      package = pkgs: pkgs.callPackage ./package.nix { };
    in
    {
      packages = each (pkgs: {
        default = package pkgs;
        dt-images = package pkgs;
      });
      legacyPackages = each (pkgs: { inherit (package pkgs) dockerTools; });
      overlays.default = import ./overlay.nix;
    };
}
