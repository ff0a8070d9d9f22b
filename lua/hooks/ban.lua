-- A ban that holds at every instance for a time: of who has caused too many errors at all of them together, and of whom a
-- request names. Instances read it in their own table, without asking.
--
--   [[table]]
--   name = "bans"
--   define = "type ip size 100k expire 1h store gpt0"
--   [[replicate]]
--   tables = "bans"
--
-- In haproxy.cfg: `table bans type ip size 100k expire 1h store gpt0` in the peers section, and
-- `http-request deny if { src,table_gpt0(mesh/bans) gt 0 }`. The table `http` is what instances track clients in, with
-- http_err_rate.
--
-- Message: `ban` (arguments src, seconds), for rules that have seen enough, such as a honeypot's.

local most_errors = 50 -- of http_err_rate
local seconds = 600

stickmesh.on_threshold("http", "http_err_rate", most_errors, function(key, totals)
  stickmesh.metric("banned for errors")
  stickmesh.block("bans", key, seconds, totals.http_err_rate .. " errors")
end)

stickmesh.on_message("ban", function(event, answer)
  if event.src then
    stickmesh.metric("banned by a rule")
    stickmesh.block("bans", event.src, event.seconds or seconds, "a rule")
    answer.banned = true
  end
end)
