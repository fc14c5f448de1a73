# SQLite: pages rewritten in place, a rollback journal that comes and goes, a write-ahead log with shared memory.
# Its locks are the client's own, because of nolock.
# seconds: 400
. guest/lib.sh
cd "$MNT"

# sql DATABASE STATEMENTS
sql() { sqlite3 -bail -batch "$1" "$2"; }

for mode in delete wal; do
  db=$mode.db
  same "journal mode" "$(sql "$db" "PRAGMA journal_mode = $mode")" "$mode"
  sql "$db" "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB)"
  sql "$db" "BEGIN;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO t SELECT i, 'name ' || i, randomblob(200 + i % 300) FROM n;
    COMMIT"
  # one transaction, and so one sync, a row
  sql "$db" "$(for i in {3001..3020}; do echo "INSERT INTO t VALUES ($i, 'name $i', zeroblob(100));"; done)"
  sql "$db" "BEGIN; DELETE FROM t; ROLLBACK"
  sql "$db" "DELETE FROM t WHERE id % 10 = 0; UPDATE t SET data = zeroblob(1000) WHERE id % 7 = 0"
  same "rows in $db" "$(sql "$db" "SELECT count(*), sum(id), count(DISTINCT name) FROM t")" "2718|4104180|2718"
  same "$db" "$(sql "$db" "PRAGMA integrity_check")" ok
  sum=$(sqlite3 "$db" .dump | sha256sum)
  sql "$db" VACUUM
  drop_caches
  same "$db after VACUUM" "$(sqlite3 "$db" .dump | sha256sum)" "$sum"
  same "$db as the peer sees it" "$(sqlite3 "$PEER/$db" .dump | sha256sum)" "$sum"
  same "what is left beside $db" "$(echo "$db"?*)" "$db?*"
done

python3 - <<'END'
import os, signal, sqlite3
from expect import *

def total(name):
    with sqlite3.connect(name) as db:
        same(f"integrity of {name}", db.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        return db.execute("SELECT sum(n) FROM c").fetchone()[0]

def add(name, times):
    db = sqlite3.connect(name, timeout=60, isolation_level=None)
    for _ in range(times):
        db.execute("UPDATE c SET n = n + 1 WHERE id = 1")

def die_half_way(name):
    db = sqlite3.connect(name, isolation_level=None)
    db.execute("PRAGMA cache_size = 5")  # so that changed pages reach the file before the commit
    db.execute("BEGIN")
    db.execute("UPDATE c SET n = n + 1000")
    os.kill(os.getpid(), signal.SIGKILL)

for mode in "delete", "wal":
    name = f"count-{mode}.db"
    db = sqlite3.connect(name, isolation_level=None)
    db.execute(f"PRAGMA journal_mode = {mode}")
    db.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER, pad BLOB)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO c VALUES (?, 0, zeroblob(500))", ((i,) for i in range(400)))
    db.execute("COMMIT")
    db.close()
    finish(*(start(add, name, 10) for _ in range(3)))
    same(f"sum in {name} after three writers at once", total(name), 30)
    # a writer that is killed leaves its journal behind, and the next one rolls back
    os.waitpid(start(die_half_way, name), 0)
    journal = name + ("-journal" if mode == "delete" else "-wal")
    assert os.path.getsize(journal) > 0, f"{journal} is empty"
    same(f"sum in {name} after a crash", total(name), 30)
END
