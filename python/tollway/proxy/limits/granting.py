"""What Redis does for hosts that hold limits together: one script, one round trip for many counters.

In: who asks, which memory it knows, and of each counter what it has spent or holds, and what it needs. Out: what it has
been granted, in the order asked. Messages go as MessagePack, which Redis reads and writes in its scripts
(https://redis.io/docs/latest/develop/programmability/lua-api/, ``cmsgpack``).

A counter's key holds, by host, the number of its last question, and how much of each bucket of time is its: spent, or
granted and perhaps spent. Its sum over the newest buckets never passes the limit by a grant. What a host tells is
absolute, and what it does not know of it never got (``rust/core/src/leases.rs`` has the other half).
"""

from typing import Literal, TypeAlias

import msgspec

COUNTER = "tollway:limits:"
"""Before a counter's identity: its key. No name of a tenant or a user can be read from it."""

HOSTS = "tollway:limits:hosts"
"""When each host was last heard of, and when that began to be remembered."""

SETTLING_MS = 2_500
"""So long after Redis began to remember, hosts tell what they had spent before, and nothing is granted."""

HOST_MS = 10_000
"""A host that was not heard of for so long is none, and the slots that it held are free."""

SEEN_EVERY_MS = 1_000

Pair: TypeAlias = tuple[int, int]


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What is told and asked of one counter; see ``Question.messages`` in ``_native/limits.pyi``."""

    window_ms: int
    width_ms: int
    span: int
    limit: int
    asked: int
    bucket: int
    need: int
    want: int
    told: list[int]
    """Buckets and amounts by turns."""


class Granted(msgspec.Struct, frozen=True, array_like=True):
    """What is answered of one counter; ``heeded`` 0: the question was an old one, and the rest is zero."""

    heeded: Literal[0, 1]
    bucket: int = 0
    granted: int = 0
    free: int = 0
    tight: Literal[0, 1] = 0
    met: Literal[0, 1] = 0
    retry_ms: int = 0


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What the script answers. ``memory`` is another one than was asked of: then nothing else was done."""

    memory: str
    redis_ms: int = 0
    hosts: int = 0
    settling_ms: int = 0
    granted: list[Granted] = []


GRANT = """
local read, held = redis.call('MGET', unpack(KEYS)), {}
for index, key in ipairs(KEYS) do held[key] = read[index] end
local memory = held[KEYS[1]] or ''
if memory ~= ARGV[2] then return cmsgpack.pack({memory}) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local host = ARGV[1]

local known = held[KEYS[2]] and cmsgpack.unpack(held[KEYS[2]]) or {born = now, seen = {}}
if known.born > now then known.born = 0 end
local last, hosts = known.seen[host], 0
if not last or last > now or now - last >= tonumber(ARGV[4]) then
    known.seen[host] = now
    for name, seen in pairs(known.seen) do
        if now - seen > tonumber(ARGV[5]) then known.seen[name] = nil end
    end
    redis.call('SET', KEYS[2], cmsgpack.pack(known), 'PX', 86400000)
end
for _, seen in pairs(known.seen) do
    if now - seen <= tonumber(ARGV[5]) then hosts = hosts + 1 end
end
local settling = math.max(0, known.born + ARGV[3] - now)

local function grant(free, need, want)
    if settling > 0 or free <= 0 then return 0, want > 0 and free <= 0 end
    local slice = math.floor(free / (2 * hosts))
    return math.min(free, slice < want and need or want), slice < want
end

local function keep(key, value, lasts_ms)
    held[key] = cmsgpack.pack(value)
    redis.call('SET', key, held[key], 'PX', lasts_ms)
end

local function slots(key, packed, message)
    local holders = packed and cmsgpack.unpack(packed) or {}
    local own = holders[host]
    if own and own[1] >= message[5] then return {0} end
    local taken = message[9][2] or 0
    local total = taken
    for name, holder in pairs(holders) do
        if name ~= host then
            if now - holder[2] > tonumber(ARGV[5]) then holders[name] = nil else total = total + holder[3] end
        end
    end
    local more, tight = grant(message[4] - total, message[7], message[8])
    holders[host] = {message[5], now, taken + more}
    keep(key, holders, 2 * ARGV[5])
    local free = math.max(0, message[4] - total - more)
    return {1, 0, taken + more, free, (tight or free == 0) and 1 or 0, more >= message[7] and 1 or 0, 1000}
end

local function units(key, packed, message)
    local width, span = message[2], message[3]
    local bucket = math.floor(now / width)
    local state = packed and cmsgpack.unpack(packed) or {head = bucket, hosts = {}}
    if state.head > bucket + span then state = {head = bucket, hosts = {}} end
    bucket = math.max(bucket, state.head)
    state.head = bucket
    local own = state.hosts[host] or {asked = 0, spent = {}}
    if own.asked >= message[5] then return {0} end
    own.asked = message[5]
    for at in pairs(own.spent) do
        if at > message[6] then own.spent[at] = nil end
    end
    local told, ahead = message[9], 0
    for index = 1, #told, 2 do
        local at, amount = told[index], told[index + 1]
        if at > bucket then ahead = ahead + amount
        elseif at >= bucket - span then own.spent[at] = amount > 0 and amount or nil end
    end
    local has = own.spent[bucket] or 0
    own.spent[bucket] = has + ahead
    state.hosts[host] = own
    local total, by_bucket, newest = 0, {}, bucket
    for name, each in pairs(state.hosts) do
        local counts = name == host
        for at, amount in pairs(each.spent) do
            if at < bucket - span then each.spent[at] = nil
            else
                counts, total = true, total + amount
                by_bucket[at] = (by_bucket[at] or 0) + amount
            end
        end
        if not counts then state.hosts[name] = nil end
    end
    local more, tight = grant(message[4] - total, message[7], message[8])
    local booked = has + ahead + more
    own.spent[bucket] = booked > 0 and booked or nil
    keep(key, state, width * (span + 2))
    local retry = 0
    if more < message[7] then
        local excess, freed = total + message[7] - message[4], 0
        for at = bucket - span, bucket do
            freed = freed + (by_bucket[at] or 0)
            if freed >= excess then
                retry = (at + span + 1) * width - now
                break
            end
        end
        retry = math.max(retry, 1)
    end
    local free = math.max(0, message[4] - total - more)
    return {1, bucket, has + more, free, (tight or free == 0) and 1 or 0, more >= message[7] and 1 or 0, retry}
end

local answers = {}
for index, message in ipairs(cmsgpack.unpack(ARGV[6])) do
    local count = message[1] == 0 and slots or units
    answers[index] = count(KEYS[2 + index], held[KEYS[2 + index]], message)
end
return cmsgpack.pack({memory, now, hosts, settling, answers})
"""
"""Keys: the memory of Redis, the hosts, and one for each message. Arguments: the host, the memory that it knows,
:data:`SETTLING_MS`, :data:`SEEN_EVERY_MS`, :data:`HOST_MS`, the messages. All that is read is read at once:
what a script asks counts among the commands that Redis carries out. Answers a :class:`Reply`."""
