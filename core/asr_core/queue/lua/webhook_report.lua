-- needs: clock, courier, destinations
-- What became of one try: `done`, `retry` in `delay_ms`, or `dead`. Replies ok, fenced or gone. What was
-- delivered is done, whoever has taken it since.
local key = K.webhook(args.id)
local line, token, attempts = unpack(redis.call('HMGET', key, 'line', 'token', 'attempts'))
if not line then return 'gone' end
if args.outcome ~= 'done' and token ~= args.token then return 'fenced' end
if args.outcome == 'retry' then
  redis.call('HSET', key, 'attempts', attempts + 1, 'reason', args.reason, 'token', '')
  enqueue_job('webhook', line, args.id, now + args.delay_ms)
  return 'ok'
end
if args.outcome == 'dead' then
  redis.call('HSET', key, 'attempts', attempts + 1, 'reason', args.reason, 'token', '')
  dead_letter_webhook(args.id)
end
forget_webhook(args.id, line)
return 'ok'
