# dockertools.nix: the functions of nixpkgs' dockerTools, with the same arguments and results, built by dt.
#
#     dockerTools = import "${dt}/share/dt/dockertools.nix" { inherit pkgs; };
#
# dt-nix(7) describes the functions, and how they differ from those of nixpkgs. Of pkgs, this file needs bash,
# bashInteractive, cacert, coreutils, gnutar and jq; shadow for shadowSetup, and linux for runAsRoot. It uses
# buildPackages, runtimeShell and stdenv if they are there. It builds nothing while Nix evaluates.
#
# An image is made by these derivations:
#
#     conf        the specification, JSON. Its references are what the image may need.
#     prepared    of a layered image: the digests of all layers, and what is not in the store; dt-image(5)
#     image       the archive; or the program that streams it from `prepared`
#     facts       of a layered image: the digests of all layers and the configuration, without any reference
#
# A builder ends in a command of bash, because Nix 2.8 kills a builder that has closed its standard error.
{ pkgs
, # dt, a derivation or a store path: of an installed file the directory that it is in, of the source tree package.nix.
  # It is not called dt, because callPackage would pass another program of this name, which nixpkgs has.
  dt-images ?
    if builtins.pathExists ./package.nix then (pkgs.buildPackages or pkgs).callPackage ./package.nix { }
    else toString ../..
, # Whether an image inherits the complete configuration of its base image. nixpkgs takes Env alone.
  inheritConfig ? false
, # What a machine must have to run runAsRoot: [ "kvm" ] for a fast one.
  requiredSystemFeatures ? [ ]
, # The kernel for runAsRoot.
  kernel ? (pkgs.buildPackages or pkgs).linux or (throw "dockerTools: runAsRoot needs a kernel: pkgs has no linux, give one by `kernel`")
}:
let
  inherit (builtins) attrNames baseNameOf concatStringsSep filter fromJSON isAttrs isFunction isString map match
    replaceStrings split substring toJSON toString trace unsafeDiscardOutputDependency unsafeDiscardStringContext;

  # dt-images as something to which derivations refer. storePath follows symlinks, such as that of a profile, but pure
  # evaluation does not allow it.
  dt =
    let name = toString dt-images; in
    if isAttrs dt-images || builtins.hasContext name then dt-images
    else if match "${builtins.storeDir}/[^/]+" name != null then builtins.appendContext name { ${name}.path = true; }
    else builtins.storePath name;

  tools = pkgs.buildPackages or pkgs;
  buildSystem = pkgs.stdenv.buildPlatform.system or pkgs.system or builtins.currentSystem;
  hostSystem = pkgs.stdenv.hostPlatform.system or buildSystem;
  bash = "${tools.bash}/bin/bash";
  runtimeShell = pkgs.runtimeShell or "${pkgs.bash}/bin/bash";
  library = "${dt}/share/dt";
  share = if builtins.pathExists ./lib then ./lib else ./.;
  binPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
  path = binPath ([ dt tools.coreutils tools.gnutar tools.jq ] ++ (tools.stdenv.initialPath or [ ]));
  builderPath = path;
  # The same, and the programs of a group in programs.txt. A busybox must not come first.
  pathWith = group: "${path}:" + binPath (map ({ package, ... }: package)
    (import (share + "/programs.nix") { pkgs = tools; groups = [ group ]; }));

  # --- functions like those of lib ---

  letters = filter (s: isString s && s != "") (split "" "abcdefghijklmnopqrstuvwxyz");
  capitals = filter (s: isString s && s != "") (split "" "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  toLower = replaceStrings capitals letters;
  toUpper = replaceStrings letters capitals;
  warnIf = condition: text: value: if condition then trace "warning: ${text}" value else value;
  throwIf = condition: text: value: if condition then throw text else value;
  quote = text: "'" + replaceStrings [ "'" ] [ "'\\''" ] (toString text) + "'";
  optional = condition: attrs: if condition then attrs else { };
  # number IMAGE NAME VALUE: the value of this argument, which may be given as a string.
  number = image: name: value:
    if !isString value then value
    else if match "0|[1-9][0-9]*" value != null then fromJSON value
    else throw "in docker image ${image}: ${name} must be a number, not '${value}'";
  numbers = { name, ... }@args: names:
    builtins.listToAttrs (map (key: { name = key; value = number name key args.${key}; }) names);

  # The hash in the name of a store path.
  hashOf = drv: substring 0 32 (baseNameOf (unsafeDiscardStringContext drv.outPath));

  # overridable FUNCTION: the same function, with `override` in its result.
  overridable = f: args:
    let result = f args; in
    result // {
      override = change: overridable f (args // (if isFunction change then change args else change));
      overrideAttrs = change: overridable (args: (f args).overrideAttrs change) args;
    };

  # --- derivations ---

  # make ATTRS: a derivation that runs the commands `script` of bash, with `path` as PATH. Its other attributes are
  # variables there. `extra` is a function of the result, whose attributes the result has, too.
  make = { script, extra ? (self: { }), meta ? { }, ... }@args:
    let
      drv = derivation ({
        system = buildSystem;
        builder = bash;
        args = [
          "-c"
          ''
            set -euo pipefail
            # Nix 2.8 has the name outside of the sandbox in NIX_ATTRS_JSON_FILE.
            attrs=$PWD/.attrs.json
            [ -e "$attrs" ] || attrs=$NIX_ATTRS_JSON_FILE
            . "''${attrs%json}sh"
            out=''${outputs[out]}
            export PATH=$path
            unset SOURCE_DATE_EPOCH
            ${script}
            :
          ''
        ];
        __structuredAttrs = true;
        inherit path;
      } // removeAttrs args [ "script" "extra" "meta" ]);
      self = drv // { inherit meta; } // extra self // {
        overrideAttrs = change: make (args // (if isFunction change then change args else change));
      };
    in
    self;

  # A file with this text. Nix finds the store paths in it.
  writeText = name: text: derivation {
    inherit name text;
    system = buildSystem;
    builder = bash;
    args = [ "-c" ''IFS= read -r -d "" text <"$textPath"; printf %s "$text" >"$out"'' ];
    passAsFile = [ "text" ];
    preferLocalBuild = true;
    allowSubstitutes = false;
  };

  # Commands that make spec.json of $conf. The tag is the hash in the name of the store path FILE, unless $conf has one.
  addTag = file: ''
    IFS= read -r -d "" spec <"$conf" || :
    name=${file}
    name=''${name##*/}
    [ "$hasTag" ] || spec="{\"tag\":\"''${name%%-*}\",''${spec#?}"
    printf %s "$spec" >spec.json
  '';

  # A program that runs nix-image.bash, see there.
  program = attrs: action: image: make (attrs // {
    preferLocalBuild = true;
    text = ''
      #!${bash}
      PATH=${path}:$PATH
      . ${library}/nix-image.bash
      nix_image ${action} ${image} "$@"
    '';
  });
  programFile = { script = ''printf %s "$text" >"$out"; chmod 755 "$out"''; };
  programIn = name: {
    inherit name;
    script = ''mkdir -p "$out/bin"; printf %s "$text" >"$out/bin/$name"; chmod 755 "$out/bin/$name"'';
    meta.mainProgram = name;
  };
  load = image: program (programIn "load") "load" image;
  push = image: program (programIn "push") "push" image;
  copyTo = image: program (programIn "copy-to") "copy" image;
  pushFacts = facts: program (programIn "push-facts") "push-facts" facts;

  # --- specifications ---

  # The keys of a specification that nixpkgs' functions and dt have in common. null is no value.
  common = { name, tag, fromImage, architecture, config, created, annotations, ... }@args: {
    inherit name fromImage created annotations;
    config = if config == null then { } else config;
    inheritConfig = args.inheritConfig or inheritConfig;
    # dt takes the architecture of the base image, unless the image is for another system than that of the build.
    architecture =
      if architecture != null then architecture
      else if fromImage == null || hostSystem != buildSystem then hostSystem
      else null;
  } // optional (tag != null) { inherit tag; };

  compressors = { none = ""; gz = ".gz"; zstd = ".zst"; };
  extensionOf = compressor: imageName: compressors.${compressor} or
    (throw "in docker image ${imageName}: compressor must be one of: [${toString (attrNames compressors)}]");

  # The attributes of images that their consumers read.
  names = { name, tag, ... }: hashed: {
    imageName = toLower name;
    imageTag = if tag != null then tag else hashOf hashed;
  };

  # --- buildImage ---

  buildImage = overridable (
    { name
    , tag ? null
    , fromImage ? null
    , fromImageName ? null
    , fromImageTag ? null
    , copyToRoot ? null
    , contents ? null
    , keepContentsDirlinks ? false
    , config ? null
    , architecture ? null
    , extraCommands ? ""
    , uid ? 0
    , gid ? 0
    , runAsRoot ? null
    , diskSize ? 1024
    , buildVMMemorySize ? 512
    , created ? "1970-01-01T00:00:01Z"
    , compressor ? "gz"
    , includeNixDB ? false
    , annotations ? null
    , inheritConfig ? inheritByDefault
    , meta ? { }
    , passthru ? { }
    }@args:
    let
      baseName = baseNameOf name;
      extension = extensionOf compressor name;
      checked = value:
        warnIf (contents != null)
          "in docker image ${name}: The contents parameter is deprecated. Change to copyToRoot if the contents are designed to be copied to the root filesystem, such as when you use `buildEnv` or similar between contents and your packages. Use copyToRoot = buildEnv { ... }; or similar if you intend to add packages to /bin."
          (throwIf (contents != null && copyToRoot != null)
            "in docker image ${name}: You can not specify both contents and copyToRoot."
            value);
      conf = writeText "${baseName}-config.json" (toJSON (common {
        inherit name tag fromImage config architecture created annotations inheritConfig;
      } // {
        inherit fromImageName fromImageTag keepContentsDirlinks compressor includeNixDB extraCommands;
        # The environment of nixpkgs' runAsRoot.
        runAsRoot = if runAsRoot == null then null else "#!${runtimeShell}\nset -e\nexport PATH=${pkgs.coreutils}/bin:/bin\n${runAsRoot}";
        copyToRoot = if copyToRoot == null then contents else copyToRoot;
      } // numbers { inherit name uid gid diskSize buildVMMemorySize; } [ "uid" "gid" "diskSize" "buildVMMemorySize" ]));
      image = make ({
        name = "docker-image-${baseName}.tar${extension}";
        inherit conf meta;
        hasTag = tag != null;
        exportReferencesGraph.graph = [ conf ];
        script = addTag "$out" + ''
          export DT_KERNEL DT_MODULES
          dt-build-image --graph "$attrs" spec.json >"$out"
        '';
        extra = self: names { inherit name tag; } self // {
          buildArgs = args;
          inherit conf;
          layer = topLayer baseName self;
          load = load self;
          push = push self;
          copyTo = copyTo self;
        } // passthru;
      } // optional (runAsRoot != null) {
        path = pathWith "vm";
        DT_KERNEL = "${kernel}/${kernel.kernelTarget or tools.stdenv.hostPlatform.linux-kernel.target or "bzImage"}";
        DT_MODULES = "${kernel.modules or kernel}/lib/modules";
        inherit requiredSystemFeatures;
      });
    in
    checked image);

  inheritByDefault = inheritConfig;

  # The top layer of an image, as a directory with layer.tar.
  topLayer = baseName: image: make {
    name = "docker-layer-${baseName}";
    inherit image;
    script = ''
      dt-merge "$image" >image.tar
      layer=$(dt-inspect image.tar | jq -r '.layers[-1]')
      mkdir "$out"
      tar -xOf image.tar "blobs/sha256/''${layer#sha256:}" >"$out/layer.tar"
      rm image.tar
    '';
  };

  # --- layered images ---

  # The arguments of streamLayeredImage, with their default values, as a function of those that were given.
  layeredArguments =
    { name
    , tag ? null
    , fromImage ? null
    , contents ? [ ]
    , config ? { }
    , architecture ? null
    , created ? "1970-01-01T00:00:01Z"
    , mtime ? "1970-01-01T00:00:01Z"
    , uid ? 0
    , gid ? 0
    , uname ? "root"
    , gname ? "root"
    , maxLayers ? 100
    , extraCommands ? ""
    , fakeRootCommands ? ""
    , enableFakechroot ? false
    , includeStorePaths ? true
    , includeNixDB ? false
    , layeringPipeline ? null
    , debug ? false
    , annotations ? null
    , inheritConfig ? inheritByDefault
    , compressor ? "gz"
    , passthru ? { }
    , meta ? { }
    }: {
      inherit name tag fromImage contents config architecture created mtime uid gid uname gname maxLayers extraCommands
        fakeRootCommands enableFakechroot includeStorePaths includeNixDB layeringPipeline debug annotations inheritConfig
        compressor passthru meta;
    };

  streamLayeredImage = overridable (given:
    let
      a = layeredArguments given;
      conf = writeText "${baseNameOf a.name}-conf.json" (toJSON (common a // {
        inherit (a) contents mtime uname gname extraCommands fakeRootCommands enableFakechroot includeStorePaths
          includeNixDB layeringPipeline debug;
      } // numbers a [ "uid" "gid" "maxLayers" ]));
    in
    throwIf (a.layeringPipeline == null && number a.name "maxLayers" a.maxLayers <= 1)
      "the maxLayers argument of dockerTools.buildLayeredImage function must be greather than 1 (current value: ${toString a.maxLayers})"
      (stream ({
        inherit (a) name tag meta passthru;
        inherit conf;
        script = "dt-stream-layered-image";
      } // optional a.enableFakechroot { path = pathWith "fallback"; })));

  # stream ATTRS: the program that streams an image. `script` is the script of dt that reads `conf`; `more` are derivations
  # whose closures the image may need, besides that of `conf`, and `sources` are files that the script reads.
  stream = { name, tag, conf, script, more ? [ ], sources ? [ ], path ? builderPath, meta ? { }, passthru ? { } }:
    let
      baseName = baseNameOf name;
      prepared = make {
        name = "${baseName}-prepared";
        inherit conf sources path;
        hasTag = tag != null;
        exportReferencesGraph.graph = [ conf ] ++ more;
        script = addTag "$conf" + ''
          ${script} --graph "$attrs" --prepare prepared spec.json
          mv prepared "$out"
        '';
      };
      # The graph of the store paths in the image, if it has any.
      graph = ''
        : >graph
        [ ! -s "$prepared/plan" ] || dt-closure --graph "$attrs" --text <"$prepared/plan" >graph
      '';
      facts = make {
        name = "${baseName}-facts";
        inherit prepared;
        script = ''
          . ${library}/nix-image.bash
          nix_image facts "$prepared" >"$out"
        '';
      };
    in
    program
      (programFile // {
        name = "stream-${baseName}";
        inherit meta;
        extra = self: names { inherit name tag; } conf // {
          inherit conf prepared facts;
          isExe = true;
          streamScript = self;
          load = load prepared;
          push = push prepared;
          copyTo = copyTo prepared;
          pushFacts = pushFacts facts;
          plan = make {
            name = "${baseName}-plan";
            inherit prepared;
            script = ''cp "$prepared/plan" "$out"'';
            preferLocalBuild = true;
          };
          cost = make {
            name = "${baseName}-cost.svg";
            inherit prepared;
            exportReferencesGraph.graph = [ prepared ];
            script = ''
              ${graph}
              if [ -s graph ]; then
                dt-cost --format svg graph <"$prepared/plan" >"$out"
              else
                echo '<svg xmlns="http://www.w3.org/2000/svg"/>' >"$out"
              fi
            '';
          };
          sbom = make {
            name = "${baseName}.cdx.json";
            inherit prepared;
            imageName = self.imageName;
            imageTag = self.imageTag;
            exportReferencesGraph.graph = [ prepared ];
            script = ''
              ${graph}
              if [ -s graph ]; then
                dt-sbom --format cyclonedx --name "$imageName" --tag "$imageTag" <graph >"$out"
              else
                echo '{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": []}' >"$out"
              fi
            '';
          };
        } // passthru;
      }) "stream"
      prepared;

  # archive STREAM COMPRESSOR NAME ARGS: the archive of a streamed image.
  archive = streamed: compressor: name: args: make {
    name = "${name}.tar${extensionOf compressor name}";
    inherit (streamed) prepared meta;
    format = compressor;
    script = ''dt-stream-layered-image "$prepared" | dt-compress --format "$format" >"$out"'';
    extra = self: {
      inherit (streamed) imageName imageTag conf prepared facts load push pushFacts copyTo plan cost sbom;
      stream = streamed;
      buildArgs = args;
    } // (args.passthru or { });
  };

  buildLayeredImage = overridable (args:
    archive (streamLayeredImage args) (args.compressor or "gz") (baseNameOf args.name) args);

  # --- images of a nix-shell ---

  # A name that an image may have.
  imageNameOf = name:
    concatStringsSep "-" (filter isString (split "[^0-9A-Za-z]*[^0-9A-Za-z._-][^0-9A-Za-z]*" name));

  # A derivation whose references are those of the build of `drv`: it has the same variables, and writes them down.
  inputsOf = drv: let variables = removeAttrs drv.drvAttrs [
    "outputHash" "outputHashAlgo" "outputHashMode" "__contentAddressed" "__impure" "exportReferencesGraph"
    "allowedReferences" "allowedRequisites" "disallowedReferences" "disallowedRequisites" "outputChecks"
    "requiredSystemFeatures" "unsafeDiscardReferences" "outputs"
  ]; in derivation (variables // {
    name = "inputs-${drv.drvAttrs.name}";
    inputsBuilder = drv.drvAttrs.builder;
    inputsArgs = drv.drvAttrs.args or [ ];
    # Nix sets more variables, and some of their values depend on the machine.
    inputsNames = [ "inputsBuilder" "inputsArgs" ] ++ attrNames variables;
    system = buildSystem;
    builder = bash;
    args = [
      "-c"
      ''
        attrs=$PWD/.attrs.json
        [ -e "$attrs" ] || attrs=''${NIX_ATTRS_JSON_FILE-}
        if [ -n "$attrs" ]; then
          . "''${attrs%json}sh"
          IFS= read -r -d "" text <"$attrs"
          printf %s "$text" >"''${outputs[out]}"
        else
          while IFS= read -r -d "" variable; do
            [[ " $inputsNames " != *" ''${variable%%=*} "* ]] || printf "%s\n" "$variable"
          done </proc/self/environ >"$out"
          for name in ''${passAsFile-}; do
            file=''${name}Path
            IFS= read -r -d "" text <"''${!file}"
            printf %s "$text" >>"$out"
          done
        fi
        :
      ''
    ];
  });

  shellArguments =
    { drv
    , name ? imageNameOf "${drv.name}-env"
    , tag ? null
    , uid ? 1000
    , gid ? 1000
    , homeDirectory ? "/build"
    , shell ? "${pkgs.bashInteractive}/bin/bash"
    , command ? null
    , run ? null
    , contents ? [ ]
    , architecture ? null
    , created ? "1970-01-01T00:00:01Z"
    , mtime ? "1970-01-01T00:00:01Z"
    , maxLayers ? 100
    , includeNixDB ? false
    , debug ? false
    , annotations ? null
    , compressor ? "gz"
    , passthru ? { }
    , meta ? { }
    }: {
      inherit drv name tag uid gid homeDirectory shell command run contents architecture created mtime maxLayers
        includeNixDB debug annotations compressor passthru meta;
    };

  streamNixShellImage = overridable (given:
    let
      a = shellArguments given;
      conf = writeText "${a.name}-conf.json" (toJSON ({
        # Nix exports the graph of no file that refers to derivations that are not built.
        drv = unsafeDiscardStringContext a.drv.drvPath;
        inherit (a) name homeDirectory shell command run architecture created mtime includeNixDB debug annotations;
        contents = [
          { helper = "caCertificates"; package = "${pkgs.cacert}"; }
          { helper = "usrBinEnv"; package = "${pkgs.coreutils}"; }
          a.contents
        ];
      } // numbers a [ "uid" "gid" "maxLayers" ] // optional (a.tag != null) { inherit (a) tag; }));
    in
    throwIf (a.command != null && a.run != null) "streamNixShellImage: Can't specify both command and run"
      (stream {
        inherit (a) name tag meta passthru;
        inherit conf;
        script = "dt-stream-nix-shell-image";
        more = [ (inputsOf a.drv) ];
        sources = [ (unsafeDiscardOutputDependency a.drv.drvPath) ];
      }));

  buildNixShellImage = overridable (args:
    archive (streamNixShellImage args) (args.compressor or "gz") "${(shellArguments args).drv.name}-env" args);

  # --- images from elsewhere ---

  fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

  pullImage = overridable (
    { imageName
    , imageDigest
    , sha256 ? ""
    , hash ? ""
    , os ? "linux"
    , arch ? hostSystem
    , finalImageName ? imageName
    , finalImageTag ? "latest"
    , tlsVerify ? true
    , name ? replaceStrings [ "/" ":" ] [ "-" "-" ] "docker-image-${finalImageName}-${finalImageTag}.tar"
    , meta ? { }
    , passthru ? { }
    }@args:
    make ({
      inherit name meta;
      spec = toJSON { inherit imageName imageDigest finalImageName finalImageTag os arch tlsVerify; };
      script = ''
        export HOME=$NIX_BUILD_TOP SSL_CERT_FILE=''${NIX_SSL_CERT_FILE:-$certificates}
        unset NIX_SSL_CERT_FILE
        printf %s "$spec" >spec.json
        dt-pull-image --ignore-hash spec.json >"$out"
      '';
      certificates = "${tools.cacert}/etc/ssl/certs/ca-bundle.crt";
      impureEnvVars = [ "NIX_SSL_CERT_FILE" ] ++ builtins.concatMap (name: [ "${name}_proxy" "${toUpper name}_PROXY" ])
        [ "http" "https" "ftp" "all" "no" ];
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = if hash != "" && hash != null then hash else if sha256 != "" && sha256 != null then sha256 else fakeHash;
      preferLocalBuild = true;
      extra = self: {
        imageName = finalImageName;
        imageTag = finalImageTag;
        inherit imageDigest;
        buildArgs = args;
        load = load self;
        push = push self;
        copyTo = copyTo self;
      } // passthru;
      # An image may mention store paths of the builder. Nix 2.18 has this for all.
    } // optional (builtins.compareVersions builtins.nixVersion "2.18" >= 0) { unsafeDiscardReferences.out = true; }));

  exportImage = overridable (
    { fromImage
    , name ? fromImage.name
    , fromImageName ? null
    , fromImageTag ? null
    , diskSize ? 1024
    , meta ? { }
    }:
    make {
      inherit name meta;
      spec = toJSON { inherit fromImage fromImageName fromImageTag; };
      script = ''
        printf %s "$spec" >spec.json
        dt-export-image spec.json >"$out"
      '';
    });

  # The images may be archives or programs that stream them. The result is compressed as the last archive is.
  mergeImages = images: overridable ({ images }: make {
    name = "merge-docker-images";
    images = map (image: "${image}") images;
    script = ''
      files=() format=none
      for image in "''${images[@]}"; do
        IFS= read -r -d "" -n 2 magic <"$image" || :
        case $magic in
        '#!')
          "$image" >"''${#files[@]}.tar"
          image=''${#files[@]}.tar format=none
          ;;
        $'\x1f\x8b') format=gz ;;
        $'\x28\xb5') format=zstd ;;
        *) format=none ;;
        esac
        files+=("$image")
      done
      dt-merge -- "''${files[@]}" | dt-compress --format "$format" >"$out"
    '';
    extra = self: { load = load self; };
  }) { inherit images; };

  # --- files that programs expect in any image ---

  helper = name: helper: attrs: make (attrs // {
    inherit name;
    script = ''dt-env-helper --directory files "''${arguments[@]}" ${helper}; mv files "$out"'';
    preferLocalBuild = true;
  });

  usrBinEnv = overridable
    ({ coreutils }: helper "usr-bin-env" "usrBinEnv" { arguments = [ "--package" "${coreutils}" ]; })
    { inherit (pkgs) coreutils; };
  binSh = overridable
    ({ bashInteractive }: helper "bin-sh" "binSh" { arguments = [ "--package" "${bashInteractive}" ]; })
    { inherit (pkgs) bashInteractive; };
  caCertificates = overridable
    ({ cacert }: helper "ca-certificates" "caCertificates" { arguments = [ "--package" "${cacert}" ]; })
    { inherit (pkgs) cacert; };
  fakeNss = overridable
    ({ extraPasswdLines ? [ ], extraGroupLines ? [ ] }: helper "fake-nss" "fakeNss" {
      arguments = builtins.concatMap (line: [ "--passwd-line" line ]) extraPasswdLines
        ++ builtins.concatMap (line: [ "--group-line" line ]) extraGroupLines;
    })
    { };

  shadowSetup = replaceStrings [ "@path@" "@root@" ] [
    "export PATH=${pkgs.shadow}/bin:${pkgs.shadow}/sbin:\"$PATH\""
    (quote "root:x:0:0::/root:${runtimeShell}")
  ]
    (builtins.readFile (share + "/shadow-setup.sh"));

  # Its override takes the arguments of nixpkgs' package, such as skopeo, and needs none.
  nix-prefetch-docker = overridable ({ ... }: make (programIn "nix-prefetch-docker" // {
    preferLocalBuild = true;
    text = ''
      #!${bash}
      exec ${dt}/bin/dt-prefetch-image "$@"
    '';
  })) { };

  withNixDB = f: args: f (args // { includeNixDB = true; });
in
{
  inherit buildImage buildLayeredImage streamLayeredImage buildNixShellImage streamNixShellImage
    pullImage exportImage mergeImages
    usrBinEnv binSh caCertificates fakeNss shadowSetup nix-prefetch-docker;
  buildImageWithNixDb = withNixDB buildImage;
  buildLayeredImageWithNixDb = withNixDB buildLayeredImage;
}
