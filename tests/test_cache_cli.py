# SPDX-License-Identifier: Apache-2.0
"""conv-cache from outside: test_cache_cli.py CONV_CACHE. Lines are made here from docs/cache-format.md alone."""
import itertools
import os
import re
import subprocess
import sys
import tempfile
import zlib

PROGRAM = sys.argv[1]
SCHEMA = 'convlab-cache 1'
ENV, OTHER = '0123456789abcdef', 'fedcba9876543210'
PROBLEM = 'fwd:f32:nchw:n1c64h56w56k64r3s3:pad1'
REVISIONS = {}   # of this build's algorithms


def seal(text):
    return '%s crc=%08x' % (text, zlib.crc32(text.encode()))


def env(ident=ENV, fields='cpu=A%20CPU isa=avx2 threads=2'):
    return seal('env %s %s' % (ident, fields))


def rec(candidate, ms, ident=ENV, problem=PROBLEM, rev=None, n=31, when=1763900000, err='1e-07', state='hot', ws=64,
        more=''):
    if rev is None:
        rev = REVISIONS.get(candidate.split(':')[0], 1)
    return seal('rec %s %s %s %s rev=%d n=%d when=%d outcome=ok ms=%g min=%g lo=%g hi=%g err=%s l2=1e-08 ws=%d det=1%s'
                % (ident, state, problem, candidate, rev, n, when, ms, ms * .99, ms * .995, ms * 1.005, err, ws, more))


def want(problem, ident=ENV):
    return seal('want %s hot %s' % (ident, problem))


def write(name, *lines):
    with open(name, 'w', newline='') as file:
        file.write(''.join(line + '\n' for line in lines))
    return name


def read(name):
    with open(name, 'rb') as file:
        return file.read()


def run(status, *arguments, says='', env=None):
    """Its stdout; one sentence on stderr that holds `says`, or nothing."""
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env=env)
    what = '%s: status %d, stderr %r' % (' '.join(arguments), done.returncode, done.stderr)
    assert done.returncode == status, what
    assert says in done.stderr and bool(says) == bool(done.stderr), what
    assert done.stderr.count('\n') == bool(says), what
    return done.stdout


def refused(*arguments, says):
    assert run(2, *arguments, says=says) == ''


def merges():
    files = [write('a.cvl', SCHEMA, env(), rec('direct', 2), rec('im2col', 1)),
             write('b.cvl', SCHEMA, rec('direct', 3, n=32), want(PROBLEM)),
             write('c.cvl', SCHEMA, rec('direct', 4, n=30), seal('later thing')),
             write('d.cvl', SCHEMA, env(OTHER), rec('direct', 5, ident=OTHER))]
    results = set()
    for order in itertools.permutations(files):
        run(0, 'merge', '-o', 'out.cvl', *order)
        results.add(read('out.cvl'))
    assert len(results) == 1
    lines = results.pop().decode().splitlines()
    assert lines == [SCHEMA] + sorted([env(), env(OTHER), rec('direct', 3, n=32), rec('im2col', 1), want(PROBLEM),
                                       seal('later thing'), rec('direct', 5, ident=OTHER)])
    run(0, 'merge', '-o', 'again.cvl', 'out.cvl', 'out.cvl', 'a.cvl')
    assert read('again.cvl') == read('out.cvl')


def travels():
    write('ship.cvl', SCHEMA, env(), rec('direct', 2), rec('im2col', 1))
    run(0, 'merge', '-o', 'sorted.cvl', 'ship.cvl')
    assert '3 of 3 lines are new' in run(0, 'import', '--cache', 'cache', 'ship.cvl')
    assert '0 of 3 lines are new' in run(0, 'import', '--cache', 'cache', 'ship.cvl')
    assert len(os.listdir('cache')) == 1
    run(0, 'export', '--cache', 'cache', 'back.cvl')
    assert read('back.cvl') == read('sorted.cvl')
    os.mkdir('xdg')
    surroundings = {'XDG_CACHE_HOME': os.path.abspath('xdg')}
    run(0, 'import', 'ship.cvl', env=surroundings)
    assert run(0, 'show', env=surroundings) == run(0, 'show', '--cache', 'cache')


def shows():
    write('show.cvl', SCHEMA, env(), rec('direct', 2), rec('im2col', 1), rec('im2col:rows=7', 1.001, err='1e-08'),
          rec('reference', 0.5), rec('direct', 1, problem=PROBLEM + ':const', state='cold'))
    rows = [line.split() for line in run(0, 'show', '--cache', 'show.cvl').splitlines()]
    assert rows[0][:3] == ['#', 'environment', ENV + ':'], rows[0]
    marks = {(row[1], row[2], row[3]): row[0] for row in rows[2:]}
    assert len({len(row) for row in rows[1:]}) == 1, rows
    assert marks == {(PROBLEM, 'hot', 'reference'): '-', (PROBLEM, 'hot', 'im2col'): '-',
                     (PROBLEM, 'hot', 'im2col:rows=7'): '*', (PROBLEM, 'hot', 'direct'): '-',
                     (PROBLEM + ':const', 'cold', 'direct'): '*'}, marks
    only = run(0, 'show', '--cache', 'show.cvl', 'fwd:f32:nchw:n1c64h56w56k64r3s3:pad1x1:const').splitlines()
    assert len(only) == 3 and 'cold' in only[2]
    why = run(0, 'explain', '--cache', 'show.cvl', PROBLEM)
    assert 'im2col:rows=7 wins with 1.00100 ms' in why and '\n  direct: ' in why, why
    refused('show', '--cache', 'show.cvl', 'fwd:nonsense', says='nonsense')


def revision_of(algorithm):
    """Of this build, as it says of a record of none."""
    write('revision.cvl', SCHEMA, env(), rec(algorithm, 1, rev=0))
    said = run(0, 'explain', '--cache', 'revision.cvl', PROBLEM)
    return int(re.search(r'this build has revision (\d+)', said).group(1))


def answers_limits_from_the_file():
    race = ' race=7 rlo=%g rhi=%g est=1.5'
    write('front.cvl', SCHEMA, env(), rec('igemm', 1, err='1e-06', ws=1000, more=race % (1, 1)),
          rec('im2col', 2, err='1e-06', ws=1000, more=race % (1.9, 2.1)), rec('im2col:rows=7', 3, err='1e-06', ws=10),
          rec('im2col:rows=9', 3.5, err='2e-06', ws=10), rec('direct', 4, err='1e-07', ws=0),
          seal('rec %s hot %s im2col:rows=1 rev=1 n=0 when=1 outcome=skipped est=9' % (ENV, PROBLEM)))
    at = '--cache', 'front.cvl'

    def winner(*limits):
        rows = [line.split() for line in run(0, 'show', *at, *limits).splitlines()]
        return [row[3] for row in rows if row[0] == '*']

    assert winner() == ['igemm']
    assert winner('--max-workspace', '999') == ['im2col:rows=7']
    assert winner('--max-workspace', '0') == ['direct']
    assert winner('--max-error', '5e-7') == ['direct']
    assert winner('--deny', 'igemm,direct') == ['im2col']
    assert winner('--allow', 'im2col', '--max-workspace', '10') == ['im2col:rows=7']
    front = [line.split()[3] for line in run(0, 'show', '--pareto', *at).splitlines()[2:]]
    assert front == ['igemm', 'im2col:rows=7', 'direct'], front
    why = run(0, 'explain', *at, '--max-workspace', '1000', '--deny', 'direct', PROBLEM)
    for part in ('igemm wins', 'im2col takes 2.00 times as long (1.90 to 2.10 at 95 %, side by side)',
                 'the estimate was 1.50000 ms', 'direct: the query does not allow direct', '31 samples, 2025-11-23',
                 'im2col:rows=1: by its estimate it was too slow to be worth a run'):
        assert part in why, (part, why)
    assert 'needs 1000 bytes of workspace, the limit is 10' in run(0, 'explain', *at, '--max-workspace', '10', PROBLEM)


def digests_choices():
    a = write('a.cvl', SCHEMA, env(), rec('direct', 2), rec('im2col', 1))
    b = write('b.cvl', SCHEMA, env(), rec('direct', 3), rec('im2col', 1.5, n=40))
    c = write('c.cvl', SCHEMA, env(), rec('direct', 1), rec('im2col', 2))
    d = [run(0, 'digest', '--cache', name).split()[:4] for name in (a, b, c)]
    assert d[0] == d[1] and d[0][1:] == d[2][1:] == ['1', 'choices', ENV] and d[0][0] != d[2][0], d
    assert run(0, 'digest', '--cache', a, '--deny', 'im2col').split()[0] == d[2][0]


def exports_a_network():
    layer = 'fwd:f32:nhwc:n8c64h56w56k64r3s3:pad1:relu'
    write('all.cvl', SCHEMA, env(), rec('direct', 2, problem=layer), rec('direct', 2, problem=PROBLEM + ':g64'))
    run(0, 'export', '--cache', 'all.cvl', '--net', 'resnet50', 'net.cvl')
    assert read('net.cvl').decode().splitlines() == [SCHEMA, env(), rec('direct', 2, problem=layer)]
    refused('export', '--cache', 'all.cvl', '--net', 'nonet', 'net.cvl', says="'nonet' is not a network")


def knows_what_is_untuned():
    other = PROBLEM + ':relu'
    write('want.cvl', SCHEMA, env(), rec('direct', 2), want(PROBLEM), want(other), want(PROBLEM, OTHER))
    rows = [line.split() for line in run(0, 'untuned', '--cache', 'want.cvl').splitlines()]
    assert sorted(rows) == sorted([[other, 'hot', ENV], [PROBLEM, 'hot', OTHER]]), rows
    assert run(0, 'untuned', '--cache', 'want.cvl', other).split() == [other, 'hot', ENV]


def tells_caches_apart():
    p = [PROBLEM + end for end in ('', ':bias', ':relu', ':relu6', ':silu')]
    write('one.cvl', SCHEMA, *[rec('direct', 2, problem=x) for x in p[:4]])
    write('two.cvl', SCHEMA, rec('direct', 2.001, problem=p[0]), rec('direct', 3, problem=p[1]),
          rec('im2col', 1, problem=p[2]), rec('direct', 2, problem=p[4]))
    lines = run(0, 'diff', 'one.cvl', 'two.cvl').splitlines()
    assert lines.pop() == '1 same, 2 changed, 1 only in the first, 1 only in the second'
    assert sorted((line.split()[0], line.split()[1]) for line in lines) == sorted(
        [('~', p[1]), ('!', p[2]), ('-', p[3]), ('+', p[4])]), lines


def prunes():
    old = rec('im2col', 1, rev=0, problem=PROBLEM + ':bias')
    write('prune.cvl', SCHEMA, env(), env(OTHER), old, rec('direct', 2), rec('direct', 3, ident=OTHER, when=1),
          rec('unheardof', 1), want(PROBLEM, OTHER))
    run(0, 'import', '--cache', 'pruned', 'prune.cvl')
    with open('pruned/mine.cvl', 'w') as file:
        file.write(SCHEMA + '\nbroken\n')
    run(0, 'prune', '--cache', 'pruned', says='mine.cvl: 1 of 1 lines is damaged')
    assert len(os.listdir('pruned')) == 1
    run(0, 'export', '--cache', 'pruned', 'kept.cvl')
    assert old.encode() not in read('kept.cvl') and read('kept.cvl').count(b'\n') == 7
    assert '3 of 6 lines dropped' in run(0, 'prune', '--cache', 'pruned', '--env', OTHER)
    assert '2 of 3 lines dropped' in run(0, 'prune', '--cache', 'pruned', '--older-than', '0')
    refused('prune', '--cache', 'pruned', '--env', 'xyz', says="--env 'xyz'")
    refused('prune', '--cache', 'pruned', '--older-than', '-1', says='older-than')


def survives_bad_input():
    good = [env(), rec('direct', 2), rec('im2col', 1)]
    run(0, 'merge', '-o', 'good.cvl', write('in.cvl', SCHEMA, *good))
    damaged = write('damaged.cvl', SCHEMA, *good, rec('direct', 7).replace('ms=7', 'ms=8'))
    newer = write('newer.cvl', 'convlab-cache 9', *good)
    crlf = write('crlf.cvl', '\ufeff' + SCHEMA + '\r', *[line + '\r' for line in good])
    with open('cut.cvl', 'wb') as file:
        file.write(read('in.cvl')[:-20])
    for name, says in (damaged, 'line 5: checksum is'), (newer, 'schema 9'), (crlf, ''):
        run(0, 'merge', '-o', 'out.cvl', name, says=says and name + ': ' and says)
        assert read('out.cvl') == read('good.cvl'), name
    run(0, 'merge', '-o', 'out.cvl', 'cut.cvl', says='cut.cvl: 1 of 3 lines is damaged')
    assert read('out.cvl').count(b'\n') == 3
    before = read('out.cvl')
    write('text.txt', 'some', 'text')
    refused('merge', '-o', 'out.cvl', 'in.cvl', 'text.txt', says='text.txt')
    refused('merge', '-o', 'out.cvl', 'in.cvl', 'missing.cvl', says='missing.cvl: No such file')
    assert read('out.cvl') == before
    refused('merge', 'in.cvl', says='-o OUT')
    refused('show', '--cache', 'missing', says='missing: No such file')
    refused('diff', 'in.cvl', says='diff A B')
    refused('frobnicate', says="'frobnicate'")
    refused(says='expected a command')
    run(1, 'merge', '-o', 'no/such/place', 'in.cvl', says='no/such/place')
    run(1, 'import', '--cache', 'good.cvl', write('more.cvl', SCHEMA, rec('im2col:rows=3', 1)),
        says='exported file and read-only')
    assert 'usage: conv-cache show' in run(0, '--help')
    assert run(0, '--version').startswith('conv-cache ')


PROGRAM = os.path.abspath(PROGRAM)
for variable in 'CVL_CACHE', 'XDG_CACHE_HOME', 'CVL_ISA':
    os.environ.pop(variable, None)
for test in (merges, travels, shows, answers_limits_from_the_file, digests_choices, exports_a_network,
             knows_what_is_untuned, tells_caches_apart, prunes, survives_bad_input):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if not REVISIONS:
            REVISIONS.update({name: revision_of(name) for name in ('direct', 'igemm', 'im2col', 'reference')})
        test()
        os.chdir('/')
        print(test.__name__, 'ok')
