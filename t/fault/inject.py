#!/usr/bin/python3
"""inject.py [--part | --none] CASES PRELOAD: makes system calls of programs fail, one at a time, by strace's injection.

CASES has a line of JSON for each case: {"tool", "case", "kind", "stdin", "command"}. `stdin` is a file, or null; a
file after `|` comes through a pipe. In `command`, @OUT@ is an empty directory and @N@ a number that no other run has.
`kind` is how to recognize a complete result on stdout: text, tar, gz, zstd or sqlite.

The case runs once without a fault, and strace counts its system calls by name. Then it runs once for each name, each
number up to LIMIT, and each error in FAULTS: call NUMBER of this name fails with the error and has no effect. strace
counts the calls of each thread and process on their own, from the start of main(); see main.c. So one run may have a
fault in each of several threads. A run counts only if strace reports that it made a call fail. Programs that the tool
executes are not traced.

The following must hold after each run:

- Status 0, nothing on stderr, and the same result; or the status of an error, one line on stderr, and no result: no
  text on stdout, no archive with an end-of-archive mark, no file in @OUT@. If the call that failed is the write of that
  line, there is none. dt-fleet may have replaced some plans; each is complete.
- TMPDIR is empty, and neither the cache nor @OUT@ has a draft. If the kernel refused to remove a file, it may stay.
- No process is left.
- If there is a cache, the same command without a fault succeeds with the cache of the failed run.

With --part, only the first call of each name fails, with the first of its errors. With --none, each case runs once,
without a fault and without strace, so that the leak sanitizer works; it must succeed.
Prints a line for each violation, then for each tool the numbers of faults and violations. Exits with 1 if there is a
violation.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib

LIMIT = 40
TIMEOUT = 60

# The errors of each system call. A number is what it returns instead of an error: 0 is the end of a file, or nothing
# written. Calls that are in neither table fail with EIO.
FAULTS = {
    'access': 'EACCES', 'bind': 'EADDRINUSE', 'brk': '0', 'capset': 'EPERM', 'chdir': 'EACCES',
    'chmod': 'EPERM EIO', 'chown': 'EPERM', 'chroot': 'EPERM', 'clone': 'EAGAIN', 'clone3': 'EAGAIN',
    'connect': 'ECONNREFUSED ETIMEDOUT', 'copy_file_range': 'EIO ENOSPC EINTR EXDEV 0', 'dup': 'EMFILE', 'dup2': 'EBUSY',
    'dup3': 'EBUSY', 'epoll_create1': 'EMFILE', 'epoll_ctl': 'ENOMEM', 'epoll_wait': 'EINTR', 'eventfd2': 'EMFILE',
    'execve': 'ENOENT ENOMEM', 'fallocate': 'ENOSPC', 'fchdir': 'EACCES', 'fchmod': 'EPERM EIO', 'fchown': 'EPERM',
    'fchownat': 'EPERM', 'fcntl': 'ENOLCK EMFILE', 'fgetxattr': 'EIO', 'flock': 'ENOLCK EINTR',
    'fork': 'EAGAIN', 'fsetxattr': 'ENOSPC',
    'fstat': 'EIO', 'fstatfs': 'EIO', 'ftruncate': 'ENOSPC EIO', 'getcwd': 'ENOENT', 'getrandom': 'EINTR',
    'getsockname': 'ENOBUFS', 'getpeername': 'ENOTCONN', 'ioctl': 'ENOTTY', 'linkat': 'ENOSPC', 'lsetxattr': 'ENOSPC',
    'madvise': 'ENOMEM', 'memfd_create': 'EMFILE', 'mkdir': 'ENOSPC EACCES', 'mkdirat': 'ENOSPC', 'mknodat': 'EPERM',
    'mlock': 'ENOMEM', 'mmap': 'ENOMEM', 'mount': 'EPERM ENOMEM', 'mprotect': 'ENOMEM', 'mremap': 'ENOMEM',
    'newfstatat': 'EIO EACCES', 'openat': 'EMFILE EACCES EIO', 'openat2': 'EMFILE EACCES',
    'pipe2': 'EMFILE', 'poll': 'EINTR ENOMEM', 'ppoll': 'EINTR', 'pread64': 'EIO EINTR 0', 'prctl': 'EINVAL',
    'preadv': 'EIO', 'prlimit64': 'EPERM', 'pwrite64': 'ENOSPC EIO EINTR 0', 'read': 'EIO EINTR 0', 'readlink': 'EIO',
    'recvfrom': 'ECONNRESET ETIMEDOUT 0', 'recvmsg': 'ECONNRESET', 'rename': 'EACCES ENOSPC', 'renameat2': 'EACCES',
    'sched_getaffinity': 'EINVAL', 'sendfile': 'EIO ENOSPC EINTR 0', 'sendmmsg': 'ECONNREFUSED', 'sendmsg': 'ECONNRESET',
    'sendto': 'ECONNRESET EPIPE', 'setgroups': 'EPERM', 'setresgid': 'EAGAIN', 'setresuid': 'EAGAIN',
    'setsockopt': 'ENOMEM', 'socket': 'EMFILE', 'socketpair': 'EMFILE', 'splice': 'EIO ENOSPC EINTR 0',
    'symlinkat': 'ENOSPC', 'umount2': 'EBUSY', 'unlink': 'EACCES', 'unlinkat': 'EACCES', 'unshare': 'EPERM ENOSPC',
    'utimensat': 'EPERM', 'vfork': 'EAGAIN', 'wait4': 'EINTR', 'write': 'ENOSPC EIO EINTR 0', 'writev': 'ENOSPC',
}
# Memory runs out for good, from the call of this number on. brk(2) has no error: the kernel returns a break that is
# less than the program asked for.
MEMORY = 'brk,mmap,mremap'
# These calls cannot fail, or only if the program has an error. munmap(2) of a complete mapping is one of them, and
# glibc aborts if it fails.
SOUND = set('''alarm arch_prctl clock_getres clock_gettime clock_nanosleep close_range exit exit_group futex getegid
    geteuid getgid getpid getppid getresgid getresuid gettid gettimeofday getuid kill munmap nanosleep pause restart_syscall rseq
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait sched_yield set_robust_list set_tid_address setitimer
    sigaltstack sysinfo tgkill timer_create timer_settime umask uname'''.split())
REMOVES = {'unlink', 'unlinkat', 'rmdir'}
ALLOCATES = {'brk', 'mmap', 'mprotect', 'mremap', 'madvise', MEMORY}

part = False
preload = ''
base = pathlib.Path()
sanitized = False
local = threading.local()
numbers = iter(range(1, 1 << 40))
running = threading.Lock()


class Run:
    """One run of a case in the private directory of a thread."""

    def __init__(self, case, keep_cache=False):
        self.case = case
        if not hasattr(local, 'dir'):
            local.dir = pathlib.Path(tempfile.mkdtemp(dir=base))
        self.dir = local.dir
        for name in ('tmp', 'cache', 'out', 'home'):
            if name == 'cache' and keep_cache:
                continue
            remove(self.dir / name)
            (self.dir / name).mkdir()
        with running:
            self.number = next(numbers)
        self.log = self.dir / 'strace'

    def path(self, name):
        return self.dir / name

    def start(self, inject):
        words = [w.replace('@OUT@', str(self.path('out'))).replace('@N@', str(self.number))
                 for w in self.case['command']]
        env = dict(os.environ, TMPDIR=str(self.path('tmp')), DT_CACHE=str(self.path('cache')), HOME=str(self.path('home')))
        fds, pipe = (), None
        if inject is not None:
            pipe = os.pipe()
            fds = (pipe[1],)
            env.update(DT_FAULT_FD=str(pipe[1]), LD_PRELOAD=preload)
            env['ASAN_OPTIONS'] = env.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
        source = self.case['stdin'] or '/dev/null'
        feeder = None
        if source.startswith('|'):
            feeder = subprocess.Popen(['cat', source[1:]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            stdin = feeder.stdout
        else:
            stdin = open(source, 'rb')
        stdout, sink = open(self.path('stdout'), 'wb'), None
        if self.case['pipe']:
            sink = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=stdout)
            stdout.close()
            stdout = sink.stdin
        with open(self.path('stderr'), 'wb') as stderr:
            tool = subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=stderr, env=env, pass_fds=fds,
                                    start_new_session=True, cwd=self.dir)
        stdin.close()
        stdout.close()
        tracer = None
        if pipe:
            os.close(pipe[1])
            os.read(pipe[0], 1)
            os.close(pipe[0])
            with open(self.path('strace.err'), 'wb') as stderr:
                tracer = subprocess.Popen(
                    ['strace', '-f', '-q', '-b', 'execve', '-e', 'signal=none', '-o', str(self.log),
                     '-e', 'inject=nanosleep:retval=7:when=1', *inject, '-p', str(tool.pid)], stderr=stderr,
                    stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return tool, tracer, feeder, sink

    def run(self, inject=None):
        tool, tracer, feeder, sink = self.start(inject)
        self.hangs = False
        try:
            tool.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.hangs = True
            os.killpg(tool.pid, signal.SIGKILL)
            tool.wait()
        self.processes = session(tool.pid)
        for process in self.processes:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for other in (sink, feeder, tracer):
            if other:
                try:
                    other.wait(10)
                except subprocess.TimeoutExpired:
                    other.kill()
                    other.wait()
        self.status = tool.returncode
        self.stdout = self.path('stdout').read_bytes()
        self.stderr = self.path('stderr').read_bytes().decode(errors='replace').replace(str(self.dir), 'DIR')
        return self

    def result(self):
        """What the tool wrote: stdout and the files in @OUT@."""
        here = str(self.dir).encode()
        out = {'stdout': self.stdout.replace(b'/n%d' % self.number, b'/n').replace(here, b'DIR')}
        for file in files(self.path('out')):
            path = self.path('out') / file
            out[file] = (os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b'')
            out[file] = out[file].replace(here, b'DIR')
        return out

    def is_finished(self):
        """Whether stdout could pass for a complete result."""
        data, kind = self.stdout, self.case['kind']
        if not data:
            return False
        if kind == 'tar':
            return has_end(data)
        if kind == 'gz':
            return has_end(gunzip(data))
        if kind == 'zstd':
            done = subprocess.run(['zstd', '-dcq'], input=data, capture_output=True, check=False)
            return done.returncode == 0 and has_end(done.stdout)
        if kind == 'sqlite':
            return is_database(self.path('stdout'))
        return True

    def has_failed(self):
        """Whether a run without a fault did not succeed, or had no result."""
        return self.status != 0 or self.stderr != '' or self.hangs or not any(self.result().values())

    def judge(self, good, names, log):
        """The violations of the rules above. `log` is strace's."""
        bad = []
        failed, said = (1,), self.stderr
        if self.case['tool'] == 'dt-vmrun':  # The script may have failed, too, and have said so, or have begun to.
            failed = (125, 126, 127) + ((139,) if 'killed by signal 11' in self.stderr else ())
            said = re.sub(r'^(mkdir|/\.dt/script): .*?(\n|(?=dt-vmrun: ))', '', said, flags=re.M)
        lines = said.splitlines()
        if self.hangs:
            return ['hangs']
        if self.status == 0:
            if self.stderr:
                bad.append(f'status 0 with a message: {self.stderr!r}')
            if self.result() != good:
                bad.append('status 0 with another result')
        else:
            if self.status not in failed:
                bad.append(f'status {self.status}: {self.stderr!r}')
            if ((len(lines) != 1 or not self.stderr.endswith('\n') or not lines[0].startswith(self.case['tool'] + ': '))
                    and not (self.stderr == '' and stderr_failed(log))):
                bad.append(f'{len(lines)} lines: {self.stderr!r}')
            # If close(2) of the output fails, all of it has been written.
            if self.is_finished() and names != {'close'}:
                bad.append(f'a complete result, with status {self.status}: {self.stderr!r}')
            left = files(self.path('out'))
            if self.case['tool'] == 'dt-fleet':  # It replaces one plan after the other.
                left = [name for name in left if self.result()[name] != good.get(name)]
            if left:
                bad.append(f'files are left: {left}, {self.stderr!r}')
            if names & set(MEMORY.split(',')) and len(names) > 1 and 'memory' not in self.stderr and 'thread' not in self.stderr:
                bad.append(f'no memory, but the message is: {self.stderr!r}')
        if self.processes:
            bad.append(f'processes are left: {self.processes}')
        if not names & REMOVES:
            left = files(self.path('tmp')) + [f for f in files(self.path('cache')) if f.endswith('.dt-draft')]
            if left:
                bad.append(f'left: {left}, status {self.status}, {self.stderr!r}')
        return bad


def stderr_failed(log):
    """Whether a write to stderr was made to fail. strace splits a call that another process interrupts."""
    writes = set()
    for line in log.splitlines():
        pid, _, call = line.partition(' ')
        if call.lstrip().startswith('write(2, '):
            writes.add(pid)
        if pid in writes and '(INJECTED)' in call:
            return True
        if '<unfinished' not in call:
            writes.discard(pid)
    return False


def remove(path):
    if path.is_dir():
        try:
            shutil.rmtree(path)
        except PermissionError:
            subprocess.run(['chmod', '-R', 'u+rwX', str(path)], check=True)
            shutil.rmtree(path)


def files(top):
    """The names of all files and directories below `top`."""
    return sorted(os.path.relpath(os.path.join(where, name), top)
                  for where, directories, names in os.walk(top) for name in directories + names)


def session(leader):
    """The processes of the session, except zombies, after they had time to end."""
    left = []
    for _ in range(100):
        left = []
        for entry in os.scandir('/proc'):
            if not entry.name.isdigit() or int(entry.name) == leader:
                continue
            try:
                with open(f'/proc/{entry.name}/stat', encoding='latin-1') as file:
                    fields = file.read().rpartition(')')[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] not in 'ZX':
                left.append(int(entry.name))
        if not left:
            break
        time.sleep(0.02)
    return left


def has_end(data):
    """Whether a tar has an end-of-archive mark."""
    at = 0
    while at + 512 <= len(data):
        block = data[at:at + 512]
        if not block.strip(b'\0'):
            return True
        size = block[124:136]
        size = (int.from_bytes(size[1:], 'big') if size[0] & 0x80 else int(size.strip(b' \0') or b'0', 8))
        at += 512 + (size + 511) // 512 * 512
    return False


def gunzip(data):
    out = b''
    while data:
        member = zlib.decompressobj(31)
        try:
            out += member.decompress(data)
        except zlib.error:
            return b''
        if not member.eof:
            return b''
        data = member.unused_data
    return out


def is_database(file):
    try:
        with sqlite3.connect(f'file:{file}?mode=ro&immutable=1', uri=True) as db:
            return db.execute('pragma integrity_check').fetchone()[0] == 'ok'
    except sqlite3.Error:
        return False


def run_once(case):
    """Runs the case without a fault. Returns a text that says what is wrong, or nothing."""
    run = Run(case).run()
    if not run.has_failed():
        return ''
    return 'hangs' if run.hangs else f'status {run.status}, {run.stderr!r}'


def run_cases(cases, jobs):
    """Runs each case once without a fault, prints the violations and the table, and returns the exit status."""
    runs, violations = collections.Counter(case['tool'] for case in cases), collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for case, bad in zip(cases, pool.map(run_once, cases)):
            violations[case['tool']] += bad != ''
            if bad:
                print(f'{case["tool"]}, {case["case"]}: {bad}')
    for tool, n in runs.items():
        print(f'{tool:16} {n:6} runs {violations[tool]:4} violations')
    return int(any(violations.values()))


def count_calls(case):
    """Runs the case without a fault. Returns its result, and the greatest number of calls of each name in one thread."""
    run = Run(case).run(['-e', 'trace=all'])
    if run.has_failed():
        sys.exit(f'{case["tool"]} {case["case"]}: status {run.status} without a fault: {run.stderr}'
                 f'{run.path("strace.err").read_text()}')
    counts = collections.defaultdict(collections.Counter)
    for line in run.log.read_text(errors='replace').splitlines():
        match = re.match(r'(\d+) +(?:<\.\.\. )?(\w+)(?: resumed|\()', line)
        if match and 'resumed>' not in line:
            counts[match[1]][match[2]] += 1
    most = collections.Counter()
    for tid in counts.values():
        for name, n in tid.items():
            most[name] = max(most[name], n)
    return run.result(), most


def faults_of(tool, calls):
    """The faults for these numbers of calls, as (NAMES, NUMBER, ERROR).

    A close(2) that fails closes the descriptor nevertheless, but strace cannot do that. The processes of dt-vmrun would
    wait for the end of a pipe that stays open.
    """
    limit = 1 if part else LIMIT
    out = []
    for name, n in sorted(calls.items()):
        if name in SOUND or (sanitized and name in ALLOCATES) or (name == 'close' and tool == 'dt-vmrun'):
            continue
        errors = FAULTS.get(name, 'EIO').split()
        for number in range(1, min(n, limit) + 1):
            out += [(name, number, error) for error in (errors[:1] if part else errors)]
    if not sanitized:
        most = max(calls[name] for name in MEMORY.split(','))
        out += [(MEMORY, number, 'ENOMEM') for number in range(1, min(most, limit) + 1)]
    return out


def inject(case, good, fault):
    """Runs the case with this fault. Returns whether there was one, and the violations."""
    names, number, error = fault
    words = ['-e', f'trace=nanosleep,{names}']
    for name in names.split(','):
        what = 'retval=0' if error == '0' or name == 'brk' else f'error={error}'
        words += ['-e', f'inject={name}:{what}:when={number}{"+" if names == MEMORY else ""}']
    run = Run(case).run(words)
    log = run.log.read_text(errors='replace') if run.log.exists() else ''
    bad = run.judge(good, set(names.split(',')), log)
    if log.count('(INJECTED)') < 2 and not bad:
        return False, []
    if any(path.is_file() for path in run.path('cache').rglob('*')):
        again = Run(case, keep_cache=True).run()
        if again.status != 0 or again.stderr or again.result() != good:
            bad.append(f'with the cache that is left: status {again.status}, {again.stderr!r}')
        left = [f for f in files(again.path('cache')) if f.endswith('.dt-draft')]
        if left:
            bad.append(f'a draft is still left: {left}')
    if bad and os.environ.get('FAULT_LOG'):
        bad.append('\n' + '\n'.join(log.splitlines()[-15:]))
    return True, bad


def main():
    global part, preload, base, sanitized
    args = sys.argv[1:]
    mode = args.pop(0) if args[0].startswith('--') else ''
    part = mode == '--part'
    cases = [json.loads(line) for line in open(args[0], encoding='utf-8')]
    preload = args[1]
    base = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get('T')))
    sanitized = b'__asan_init' in pathlib.Path(shutil.which(cases[0]['tool'])).read_bytes()
    jobs = int(os.environ.get('FAULT_JOBS') or os.cpu_count())
    if mode == '--none':
        status = run_cases(cases, jobs)
        shutil.rmtree(base, ignore_errors=True)
        sys.exit(status)
    injected, violations, skipped = collections.Counter(), collections.Counter(), collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        counted = list(pool.map(count_calls, cases))
        work = {}
        for case, (good, calls) in zip(cases, counted):
            for fault in faults_of(case['tool'], calls):
                work[pool.submit(inject, case, good, fault)] = (case, fault)
        # SIGTERM ends the campaign after the runs that have begun.
        signal.signal(signal.SIGTERM, lambda *_: [future.cancel() for future in work])
        for future in concurrent.futures.as_completed(work):
            case, (name, number, error) = work[future]
            if future.cancelled():
                skipped[case['tool']] += 1
                continue
            done, bad = future.result()
            injected[case['tool']] += done
            violations[case['tool']] += bool(bad)
            for text in bad:
                print(f'{case["tool"]}, {case["case"]}: call {number} of {name}, {error}: {text}', flush=True)
    shutil.rmtree(base, ignore_errors=True)
    for tool in dict.fromkeys(case['tool'] for case in cases):
        print(f'{tool:16} {injected[tool]:6} faults {violations[tool]:4} violations'
              + (f', {skipped[tool]} runs left out' if skipped[tool] else ''))
    print(f'{"all":16} {sum(injected.values()):6} faults {sum(violations.values()):4} violations')
    sys.exit(any(violations.values()) or any(skipped.values()))


main()
