-- A ban that holds at every instance for a time: of who has caused too many errors at all of them together, and of whom a
-- request names. Instances read it in their own table, without asking.
--
--   [[table]]
--   name = "bans"
--   define = "type ipv6 size 100k expire 10m store gpt0"
--   [[replicate]]
--   tables = "bans"
--
-- In haproxy.cfg, in the peers section:
--
--   table http type ipv6 size 100k expire 10m store http_err_rate(1m)
--   table bans type ipv6 size 100k expire 10m store gpt0
--
-- and in a frontend, in this order, so that what a banned client is refused is no further error:
--
--   http-request deny if { src,ipmask(32,64),table_gpt0(mesh/bans) gt 0 }
--   http-request track-sc0 src,ipmask(32,64) table mesh/http
--
-- The expire of bans is how long a ban lasts: HAProxy before 3.4 keeps a key that it has been told of for so long, also when
-- the agent has said less.
--
-- Message: `ban` (arguments src=src,ipmask(32,64) and, if not 600, seconds, at most the table's expire), for rules that have
-- seen enough, such as a honeypot's. It is answered with banned.

local most_errors = 50 -- of http_err_rate
local seconds = 600 -- no more than the expire of bans

stickmesh.on_threshold("http", "http_err_rate", most_errors, function(key, totals)
  stickmesh.metric("banned for errors")
  stickmesh.block("bans", key, seconds, totals.http_err_rate .. " errors")
end)

stickmesh.on_message("ban", function(event, answer)
  if event.src then
    stickmesh.block("bans", event.src, event.seconds or seconds, "a rule")
    stickmesh.metric("banned by a rule")
    answer.banned = true
  end
end)
