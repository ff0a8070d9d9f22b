-- A daily quota for each API key: so many requests from midnight to midnight (UTC), at all instances together.
--
--   [[table]]
--   name = "quota"
--   define = "type string len 64 size 1m expire 25h store http_req_cnt"
--
-- Message: `quota` (argument api_key; and, if some may have more, quota), which is counted and answered with remaining, with
-- reset, the seconds until the day ends, and with a verdict, with reason (quota) and retry_after when it is deny. Without a
-- key nothing is counted, and there is no verdict. The day is part of the table's key, so that nothing has to be set back.
-- conf/examples/hooks.cfg asks it.

local daily = 10000

local used = stickmesh.table("quota")

stickmesh.on_message("quota", function(event, answer)
  if not event.api_key then
    return
  end
  local now = stickmesh.time()
  local key = stickmesh.date("%Y-%m-%d ", now) .. stickmesh.hash(event.api_key)
  local most = math.tointeger(tonumber(event.quota)) or daily -- HAProxy may have it as text
  local reset = 86400 - now % 86400
  local count = used:track(key, { http_req_cnt = 1 }).http_req_cnt
  answer.remaining = math.max(most - count, 0)
  answer.reset = reset
  if count > most then
    answer.verdict, answer.reason, answer.retry_after = "deny", "quota", reset
  else
    answer.verdict = "allow"
  end
end)
