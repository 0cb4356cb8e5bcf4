"""Every name in Redis. No other module spells a key, in Python or in Lua.

Default names are the documented ones (`asr_tasks`, `asr:task:{id}`), so that people can look with
redis-cli. With a prefix `p`, every name starts with `{p}:`: one hash slot, hence safe on a Cluster.
"""

from __future__ import annotations

from asr_core.task import DEFAULT_POOL, Lane

GROUP = "asr_workers"

_LUA = """
local P = '{root}'
local GROUP = '{group}'
local LANES = {{{lanes}}}
local K = {{
  api_keys = P .. 'asr:api_keys', tenant_limits = P .. 'asr:tenant_limits',
  tenant_stored = P .. 'asr:tenant_stored', tenant_dead = P .. 'asr:tenant_dead',
  schema = P .. 'asr:schema', pools = P .. 'asr:pools', dead = P .. 'asr_tasks:dead',
  totals = P .. 'asr:totals', outbox = P .. 'asr:outbox',
  attended = P .. 'asr:attended',
  seen = P .. 'asr:redis_seen', tenants = P .. 'asr:tenants', remade = P .. 'asr:groups_remade',
  webhooks = P .. 'asr:webhooks', webhooks_dead = P .. 'asr:webhooks:dead',
  webhook_counts = P .. 'asr:webhooks:tenants',
}}
function K.stream(pool, lane)
  local name = P .. 'asr_tasks'
  if pool ~= '{default_pool}' then name = name .. ':' .. pool end
  if lane ~= '{default_lane}' then name = name .. ':' .. lane end
  return name
end
function K.task(id) return P .. 'asr:task:' .. id end
function K.idempotency(tenant, key) return P .. 'asr:idempotency:' .. tenant .. ':' .. key end
function K.delayed(pool) return P .. 'asr:delayed:' .. pool end
function K.backlog(pool) return P .. 'asr:backlog:' .. pool end
function K.turn(pool) return P .. 'asr:turn:' .. pool end
function K.waiting(pool, lane) return P .. 'asr:waiting:' .. pool .. ':' .. lane end
function K.leases(pool, lane) return P .. 'asr:leases:' .. pool .. ':' .. lane end
function K.solo(pool) return P .. 'asr:solo:' .. pool end
function K.solo_turn(pool) return P .. 'asr:solo_turn:' .. pool end
function K.undelivered(pool, lane) return P .. 'asr:undelivered:' .. pool .. ':' .. lane end
function K.next(pool, lane) return P .. 'asr:next:' .. pool .. ':' .. lane end
function K.held(pool, lane, tenant)
  return P .. 'asr:held:' .. pool .. ':' .. lane .. ':' .. tenant
end
function K.held_tenants(pool, lane) return P .. 'asr:held_tenants:' .. pool .. ':' .. lane end
function K.history(tenant, state)
  if state == '' then return P .. 'asr:history:' .. tenant end
  return P .. 'asr:history:' .. tenant .. ':' .. state
end
function K.stats(pool, bucket) return P .. 'asr:stats:' .. pool .. ':' .. bucket end
function K.tenant_stats(pool, tenant, bucket)
  return P .. 'asr:tenant_stats:' .. pool .. ':' .. tenant .. ':' .. bucket
end
function K.tenant_totals(tenant) return P .. 'asr:tenant_totals:' .. tenant end
function K.tenant_open(pool) return P .. 'asr:tenant_open:' .. pool end
function K.worker(consumer) return P .. 'asr:worker:' .. consumer end
function K.workers(pool) return P .. 'asr:workers:' .. pool end
function K.join(tenant, fingerprint) return P .. 'asr:join:' .. tenant .. ':' .. fingerprint end
function K.callers(id) return P .. 'asr:callers:' .. id end
function K.partials(id) return P .. 'asr:partials:' .. id end
function K.models(pool) return P .. 'asr:models:' .. pool end
function K.deleted(id) return P .. 'asr:deleted:' .. id end
function K.changed(id) return P .. 'asr:changed:' .. id end
function K.webhook(id) return P .. 'asr:webhook:' .. id end
function K.fetching(pool) return P .. 'asr:fetching:' .. pool end
function K.lines(kind) return P .. 'asr:lines:' .. kind end
function K.lines_of(kind, tenant) return P .. 'asr:lines:' .. kind .. ':' .. tenant end
function K.line(kind, name) return P .. 'asr:line:' .. kind .. ':' .. name end
function K.wake(pool) return P .. 'asr:wake:' .. pool end
function K.api_key(digest) return P .. 'asr:api_key:' .. digest end
function K.rate(tenant) return P .. 'asr:rate:' .. tenant end
function K.recount(tenant) return P .. 'asr:recount:' .. tenant end
function K.usage(day) return P .. 'asr:usage:' .. day end
"""


# In a Cluster, commands of a script fail one by one on a slot that is being moved: on its old owner
# for a key that is not there, on its new one for two such keys. This one fails before any has
# written. Nobody ever makes these keys.
_SLOT_STANDS_STILL = "redis.call('EXISTS', P .. 'asr:slot:1', P .. 'asr:slot:2')\n"


class Keys:
    """Names under one prefix; `lua()` gives the same names to the scripts."""

    def __init__(self, prefix: str = "") -> None:
        self.root = f"{{{prefix}}}:" if prefix else ""
        self.schema = f"{self.root}asr:schema"
        self.pools = f"{self.root}asr:pools"
        self.dead = f"{self.root}asr_tasks:dead"
        self.totals = f"{self.root}asr:totals"
        self.outbox = f"{self.root}asr:outbox"
        self.webhooks = f"{self.root}asr:webhooks"
        self.webhooks_dead = f"{self.root}asr:webhooks:dead"
        self.tenants = f"{self.root}asr:tenants"
        self.reconcile_lock = f"{self.root}asr:lock:reconcile"
        self.sweep_lock = f"{self.root}asr:lock:sweep"
        self.retention_lock = f"{self.root}asr:lock:retention"
        self.epoch = f"{self.root}asr:epoch"
        self.remade = f"{self.root}asr:groups_remade"
        self.strays = f"{self.root}asr:strays"
        self.api_keys = f"{self.root}asr:api_keys"
        self.tenant_limits = f"{self.root}asr:tenant_limits"
        self.tenant_stored = f"{self.root}asr:tenant_stored"
        self.tenant_dead = f"{self.root}asr:tenant_dead"

    def lua(self, *, silent: bool = False) -> str:
        """The scripts' prologue: the same names as Lua functions. A `silent` one calls nothing."""
        names = _LUA.format(
            root=self.root,
            group=GROUP,
            lanes=", ".join(f"'{lane}'" for lane in Lane),
            default_pool=DEFAULT_POOL,
            default_lane=Lane.NORMAL,
        )
        return names + (_SLOT_STANDS_STILL if self.root and not silent else "")

    def stream(self, pool: str, lane: Lane) -> str:
        name = f"{self.root}asr_tasks"
        if pool != DEFAULT_POOL:
            name += f":{pool}"
        return name if lane is Lane.NORMAL else f"{name}:{lane}"

    def task(self, task_id: str) -> str:
        return f"{self.root}asr:task:{task_id}"

    def idempotency(self, tenant: str, key: str) -> str:
        return f"{self.root}asr:idempotency:{tenant}:{key}"

    def waiting(self, pool: str, lane: Lane) -> str:
        return f"{self.root}asr:waiting:{pool}:{lane}"

    def history(self, tenant: str, state: str = "") -> str:
        name = f"{self.root}asr:history:{tenant}"
        return f"{name}:{state}" if state else name

    def tenant_totals(self, tenant: str) -> str:
        return f"{self.root}asr:tenant_totals:{tenant}"

    def worker(self, consumer: str) -> str:
        return f"{self.root}asr:worker:{consumer}"

    def workers(self, pool: str) -> str:
        return f"{self.root}asr:workers:{pool}"

    def fetching(self, pool: str) -> str:
        return f"{self.root}asr:fetching:{pool}"

    def models(self, pool: str) -> str:
        return f"{self.root}asr:models:{pool}"

    def changed(self, task_id: str) -> str:
        return f"{self.root}asr:changed:{task_id}"

    def wake(self, pool: str) -> str:
        return f"{self.root}asr:wake:{pool}"

    def api_key(self, digest: str) -> str:
        return f"{self.root}asr:api_key:{digest}"

    def usage(self, day: int) -> str:
        """`day` counts from 1970-01-01."""
        return f"{self.root}asr:usage:{day}"
