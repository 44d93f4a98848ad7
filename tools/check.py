#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./check [--quick] [--no-install] [--minutes N] [SUITE...] - builds, runs the tests, counts.

Suites, in this order:
  lint    layers, format, documents, package list, shell scripts
  build   gcc with all warnings as errors; clang the same; the documents against the program
  unit    unit tests, simulations, golden files, assumptions about the kernel, fuzz corpora
  asan    the same under AddressSanitizer and UndefinedBehaviorSanitizer
  tsan    what is shared between threads, under ThreadSanitizer
  fuzz    every fuzz target for a few seconds (libFuzzer), starting from its corpus
  net     real peers in network namespaces (pytest)
  cmd     ./demo and bench/run work at all
  soak    64 peers that churn under traffic for --minutes (3); only when asked for

--quick leaves out asan, tsan, fuzz, cmd and the slow net tests. Everything is built below build/
and only what changed is built again. Exit status 1 if anything failed.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
SUITES = ["lint", "build", "unit", "asan", "tsan", "fuzz", "net", "cmd", "soak"]
SLOW_SUITES = {"asan", "tsan", "fuzz", "cmd"}
ASKED_SUITES = {"soak"}         # not without being named
CLANG = {"CC": "clang"}
SANITIZE = ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
# name: (environment, meson options)
BUILDS = {
    "gcc": ({}, []),
    "clang": (CLANG, []),
    # clang, because gcc 12 finds conversions that are not there when it also sanitizes; and with the
    # fuzz targets, so that one build serves both suites.
    "asan": (CLANG, SANITIZE + ["-Dfuzz=true", "-Dc_args=-fsanitize=fuzzer-no-link"]),
    # clang: gcc refuses fences under its ThreadSanitizer.
    "tsan": (CLANG, ["-Db_sanitize=thread", "-Db_lundef=false"]),
}
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}
FUZZ_SECONDS = 5
NET_WORKERS = 4

CASE = re.compile(r"^\[\s*(OK|FAILED|SKIPPED)\s*\] (\S+)$", re.M)


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures, self.skips = [], []

    def ok(self, n=1):
        self.passed += n

    def fail(self, name, why=""):
        self.failed += 1
        self.failures.append(name)
        print(f"  FAILED {name}" + (f"\n{indent(why)}" if why else ""), flush=True)

    def skip(self, name, why):
        self.skipped += 1
        self.skips.append(f"{name}: {why}")


def indent(text, lines=60):
    return "\n".join("    " + x for x in text.rstrip().splitlines()[-lines:])


def run(argv, env=None, timeout=None, cwd=ROOT):
    """Output and status. On Ctrl-C the child has had its own; wait until it has cleaned up."""
    full_env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    full_env.update(env or {})
    p = subprocess.Popen(argv, cwd=cwd, env=full_env, stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    try:
        out, _ = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.terminate()
        out, _ = p.communicate()
        return out + f"\n(stopped after {timeout} s)", 124
    except BaseException:
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
        raise
    return out, p.returncode


def read(path):
    with open(path) as f:
        return f.read()


def step(count, name, argv, **kw):
    """One command that is one test."""
    out, status = run(argv, **kw)
    if status:
        count.fail(name, out)
    else:
        count.ok()
    return status == 0


# Building. ------------------------------------------------------------------------------------------

built = {}


def build(count, name):
    """Configure and compile build/NAME; None if that fails (counted once)."""
    if name in built:
        return built[name]
    env, options = BUILDS[name]
    d = os.path.join(BUILD, name)
    started = time.monotonic()
    stamp, settings = os.path.join(d, "check-settings"), json.dumps([env, options])
    if os.path.exists(d) and (not os.path.exists(stamp) or read(stamp) != settings):
        shutil.rmtree(d)        # made by an older checkout: a compiler cannot be changed in place
    argv = ["meson", "setup", d] + options
    out, status = run(argv + ["--reconfigure"] if os.path.exists(d) else argv, env=env)
    if status and os.path.isdir(d):
        shutil.rmtree(d)
        out, status = run(argv, env=env)
    if not status:
        with open(stamp, "w") as f:
            f.write(settings)
    if not status:
        out, status = run(["ninja", "--quiet", "-C", d], env=env)
    if status:
        count.fail(f"build {name}", out)
        built[name] = None
    else:
        count.ok()
        built[name] = d
        print(f"  built {name} in {time.monotonic() - started:.0f} s", flush=True)
    return built[name]


# Meson's tests, counted by their cmocka cases. -----------------------------------------------------

def cases(entry):
    """(passed, failed names, skipped names) of one program that meson ran."""
    text = entry.get("stdout", "") + entry.get("stderr", "")
    seen = {}
    for what, case in CASE.findall(text):
        seen[case] = what
    failed = [c for c, w in seen.items() if w == "FAILED"]
    skipped = [c for c, w in seen.items() if w == "SKIPPED"]
    passed = len(seen) - len(failed) - len(skipped)
    return passed, failed, skipped


def meson_tests(count, name, env=None, suites=(), prefix=""):
    d = build(count, name)
    if not d:
        return
    argv = ["meson", "test", "-C", d, "--no-rebuild", "--timeout-multiplier", "10"]
    for s in suites:
        argv += ["--suite", s]
    if name == "tsan":
        argv = ["setarch", "-R"] + argv     # gcc's runtime does not know every address layout
    log = os.path.join(d, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    out, status = run(argv, env=env)
    if not os.path.exists(log):
        if "No tests defined" in out or "No suitable tests" in out:
            return
        count.fail(f"{name}: meson test", out)
        return
    with open(log) as f:
        for line in f:
            entry = json.loads(line)
            test = f"{name} {entry['name'].split(' / ', 1)[-1]}"
            passed, failed, skipped = cases(entry)
            if entry["result"] == "SKIP":
                why = (entry.get("stdout", "") + entry.get("stderr", "")).strip().splitlines()
                count.skip(test, why[-1] if why else "the program says so")
                continue
            for c in skipped:
                count.skip(f"{test} {c}", "skipped by the test")
            count.ok(passed)
            if entry["result"] in ("OK", "EXPECTEDFAIL"):
                if not passed and not skipped:
                    count.ok()
                continue
            text = entry.get("stdout", "") + entry.get("stderr", "")
            if failed:
                for c in failed[:-1]:
                    count.fail(f"{test} {c}")
                count.fail(f"{test} {failed[-1]}", text)
            else:
                count.fail(f"{test} ({entry['result'].lower()})", text)


def suite_unit(count, options):
    meson_tests(count, "gcc")


def suite_asan(count, options):
    meson_tests(count, "asan", env=SANITIZER_ENV)


def suite_tsan(count, options):
    d = build(count, "tsan")
    if not d:
        return
    out, _ = run(["meson", "test", "-C", d, "--no-rebuild", "--list"])
    suites = set(re.findall(r"[:+]\s*([a-z]+)", out.replace("mintflow:", "+")))
    # Tests that start threads say so with the suite `threads`.
    if "threads" in suites:
        meson_tests(count, "tsan", env=SANITIZER_ENV, suites=["threads"])
    else:
        meson_tests(count, "tsan", env=SANITIZER_ENV)


def suite_build(count, options):
    if build(count, "gcc") and program():
        step(count, "documents against the program",
             [os.path.join(ROOT, "tools", "check-docs"), "--program", program()])
    if not options.quick:
        build(count, "clang")


# Lint. ----------------------------------------------------------------------------------------------

def shell_scripts():
    out, _ = run(["git", "ls-files"])
    for f in out.splitlines():
        path = os.path.join(ROOT, f)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as g:
                first = g.readline()
            if first.startswith(b"#!") and (b"bash" in first or first.rstrip().endswith(b"/sh")):
                yield f, "bash" if b"bash" in first else "sh"


def suite_lint(count, options):
    tools = os.path.join(ROOT, "tools")
    for name, argv in (("layers", ["check-layers"]), ("layers self-test",
                                                      ["check-layers", "--self-test"]),
                       ("format", ["check-format"]), ("documents", ["check-docs"]),
                       ("page of drop reasons", ["drops-doc", "--check"])):
        if os.path.exists(os.path.join(tools, argv[0])):
            step(count, name, [os.path.join(tools, argv[0])] + argv[1:])
    for f, shell in shell_scripts():
        step(count, f"{f}: syntax", [shell, "-n", f])
    out, _ = run(["git", "ls-files", "*.py", "bench/run", "bench/draw", "demo"])
    for f in out.splitlines():
        path = os.path.join(ROOT, f)
        if not os.path.exists(path):
            continue
        with open(path) as g:
            text = g.read()
        if not f.endswith(".py") and not text.startswith("#!/usr/bin/python3"):
            continue
        try:
            compile(text, f, "exec")
            count.ok()
        except SyntaxError as e:
            count.fail(f"{f}: syntax", str(e))


# Fuzz. ----------------------------------------------------------------------------------------------

def suite_fuzz(count, options):
    d = build(count, "asan")
    if not d:
        return
    where = os.path.join(d, "tests", "fuzz")
    for target in sorted(os.listdir(where)):
        program = os.path.join(where, target)
        if not target.startswith("fuzz_") or not os.path.isfile(program) \
                or not os.access(program, os.X_OK):
            continue
        corpus = os.path.join(ROOT, "tests", "fuzz", "corpus", target.removeprefix("fuzz_"))
        with tempfile.TemporaryDirectory(prefix="mintfuzz-") as new:
            argv = [program, f"-max_total_time={FUZZ_SECONDS}", f"-artifact_prefix={new}/", new]
            if os.path.isdir(corpus):
                argv.append(corpus)
            out, status = run(argv, env=SANITIZER_ENV, timeout=FUZZ_SECONDS * 20)
            if status:
                # The input that did it is the thing to keep.
                for f in os.listdir(new):
                    if f.startswith(("crash-", "leak-", "timeout-", "oom-")):
                        kept = os.path.join(d, f"{target}-{f}")
                        shutil.copy(os.path.join(new, f), kept)
                        out += f"\nthe input is in {os.path.relpath(kept, ROOT)}"
                count.fail(target, out)
            else:
                count.ok()


# Net. -----------------------------------------------------------------------------------------------

def program():
    for p in ("cli/mintflow", "daemon/mintflow", "mintflow"):
        path = os.path.join(BUILD, "gcc", p)
        if os.access(path, os.X_OK):
            return path
    return None


def suite_net(count, options):
    if not build(count, "gcc"):
        return
    if os.getuid() != 0:
        count.skip("net", "needs root for its namespaces")
        return
    if not program():
        count.fail("net", "the build has no mintflow program")
        return
    with tempfile.TemporaryDirectory(prefix="mintcheck-") as tmp:
        xml_path = os.path.join(tmp, "net.xml")
        argv = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                "-n", str(NET_WORKERS), "--junitxml", xml_path, os.path.join(ROOT, "tests", "net")]
        if options.quick:
            argv += ["-m", "not slow"]
        out, status = run(argv, env={"MINTFLOW": program()})
        if not os.path.exists(xml_path):
            count.fail("net", out)
            return
        read_junit(count, xml_path)


def read_junit(count, path):
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = f"net {case.get('classname', '').split('.')[-1]} {case.get('name')}"
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if problem is not None:
            said = "\n".join(x.text or "" for x in case.iter("system-out"))
            count.fail(name, (problem.text or problem.get("message") or "") + "\n" + said)
        elif skipped is not None:
            count.skip(name, skipped.get("message") or "?")
        else:
            count.ok()


def suite_cmd(count, options):
    if not build(count, "gcc") or os.getuid() != 0:
        return
    env = {"MINTFLOW": program() or ""}
    demo = os.path.join(ROOT, "demo")
    if os.path.exists(demo):
        step(count, "demo", [demo], env=env, timeout=300)
    out, status = run([os.path.join(ROOT, "bench", "run"), "wg-tcp-1", "wg-rtt", "direct-rr", "--json",
                       "--rounds", "1", "--seconds", "1"], env=env, timeout=120)
    lines = [x for x in out.splitlines() if x.startswith("{")]
    try:
        good = len(lines) == 3 and all(json.loads(x)["mintflow"] for x in lines)
    except (ValueError, KeyError):
        good = False
    if good and not status:
        count.ok()
    else:
        count.fail("bench/run", out)


def suite_soak(count, options):
    if not build(count, "gcc"):
        return
    out, status = run([os.path.join(ROOT, "tests", "net", "soak.py"), "--minutes",
                       str(options.minutes)], env={"MINTFLOW": program() or ""})
    print(indent(out), flush=True)
    count.fail("soak", "(see above)") if status else count.ok()


def main():
    p = argparse.ArgumentParser(prog="./check", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("suites", nargs="*", metavar="SUITE")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--no-install", action="store_true", help="do not look for missing packages")
    p.add_argument("--minutes", type=float, default=3, help="of the soak (3)")
    o = p.parse_args()
    for s in o.suites:
        if s not in SUITES:
            p.error(f"no suite {s!r}: " + " ".join(SUITES))
    # TERM as Ctrl-C, so that what the suites have started is taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)    # also when started with it ignored
    wanted = o.suites or [s for s in SUITES if s not in ASKED_SUITES
                          and not (o.quick and s in SLOW_SUITES)]
    total = Count()
    started = time.monotonic()
    for s in SUITES:
        if s not in wanted:
            continue
        print(f"== {s}", flush=True)
        before = (total.passed, total.failed, total.skipped, time.monotonic())
        globals()[f"suite_{s}"](total, o)
        print(f"  {total.passed - before[0]} passed, {total.failed - before[1]} failed"
              + (f", {total.skipped - before[2]} skipped" if total.skipped > before[2] else "")
              + f" ({time.monotonic() - before[3]:.0f} s)", flush=True)
    if total.skips:
        print("skipped:")
        for s in total.skips:
            print(f"  {s}")
    if total.failures:
        print("failed:")
        for f in total.failures:
            print(f"  {f}")
    print(f"{time.monotonic() - started:.0f} seconds")
    print(f"{total.passed} passed, {total.failed} failed"
          + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
