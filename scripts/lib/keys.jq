# The keys of the specifications, as tables for spec.jq.

def export_keys: {
	"fromImage": ["string"], "fromImageName": ["string", null],
	"fromImageTag": ["string", null], "name": ["string", null], "diskSize": ["integer", 1024]};

def merge_keys: {"images": ["paths"], "index": ["boolean", false]};

def image_keys: {
	"name": ["string"], "tag": ["string", null], "fromImage": ["string", null],
	"fromImageName": ["string", null], "fromImageTag": ["string", null], "inheritConfig": ["boolean", true],
	"copyToRoot": ["contents", []], "contents": ["contents", null],
	"keepContentsDirlinks": ["boolean", false], "runAsRoot": ["string", null],
	"extraCommands": ["string", ""], "uid": ["integer", 0], "gid": ["integer", 0],
	"config": ["object", {}], "annotations": ["texts", {}], "architecture": ["string", null],
	"created": ["string", "1970-01-01T00:00:01Z"], "diskSize": ["integer", 1024],
	"buildVMMemorySize": ["integer", 512], "compressor": ["string", "gz"],
	"includeNixDB": ["boolean", false], "meta": ["object", {}], "passthru": ["object", {}]};

def compressor_keys: if $compress then {"compressor": ["string", "gz"]} else {} end;

def layered_keys: {
	"name": ["string"], "tag": ["string", null], "fromImage": ["string", null], "inheritConfig": ["boolean", true],
	"contents": ["contents", []], "config": ["object", {}], "annotations": ["texts", {}], "architecture": ["string", null],
	"created": ["string", "1970-01-01T00:00:01Z"], "mtime": ["string", "1970-01-01T00:00:01Z"],
	"maxLayers": ["integer", 100], "layeringPipeline": ["list", null],
	"uid": ["integer", 0], "gid": ["integer", 0],
	"uname": ["string", "root"], "gname": ["string", "root"],
	"extraCommands": ["string", ""], "fakeRootCommands": ["string", ""],
	"enableFakechroot": ["boolean", false], "includeStorePaths": ["boolean", true],
	"includeNixDB": ["boolean", false], "debug": ["boolean", false],
	"meta": ["object", {}], "passthru": ["object", {}]} + compressor_keys;

# prepared.json of a prepared directory.
def prepared_keys: {
	"version": ["integer"], "fromImage": ["string", null], "architecture": ["string", null],
	"mtime": ["string"], "uid": ["integer", 0], "gid": ["integer", 0],
	"uname": ["string", "root"], "gname": ["string", "root"], "compressor": ["string", "gz"]};

def nix_shell_keys: (layered_keys |
	{tag, contents, annotations, architecture, created, mtime, maxLayers, includeNixDB, debug, meta, passthru}) + {
	"drv": ["string"], "name": ["string", null], "uid": ["integer", 1000], "gid": ["integer", 1000],
	"homeDirectory": ["string", "/build"], "shell": ["string", null],
	"command": ["string", null], "run": ["string", null]} + compressor_keys;
