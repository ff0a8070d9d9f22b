-- Guessing of passwords: refuses an address that has failed too often, and slows guesses at one user from many addresses.
-- Counted over all instances and agents, because the tables are.
--
--   [[table]]
--   name = "login_users"
--   define = "type string len 64 size 100k expire 1h store gpc0_rate(10m)"
--   [[table]]
--   name = "login_addresses"
--   define = "type string len 64 size 100k expire 1h store gpc0_rate(10m)"
--
-- Messages: `login` before a login is tried (arguments user and src=src,ipmask(32,64)), which is answered with failures, of
-- that user, and a verdict, with reason (login-address or login-user) and retry_after when it is deny; `login_failed` after
-- one that failed (the same arguments), which is counted. conf/examples/hooks.cfg has both.

local most_by_address = 20 -- failures within the period of the table
local most_by_user = 10 -- whoever knows a user's name can use these up, and keep the owner out until they are over

local users = stickmesh.table("login_users")
local addresses = stickmesh.table("login_addresses")

-- No longer than a key may be, and the same however it is written.
local function user_key(user)
  return user and stickmesh.hash(user:lower())
end

local function failures(of, key)
  local known = key and of:lookup(key)
  return known and known.gpc0_rate or 0
end

stickmesh.on_message("login", function(event, answer)
  local by_user = failures(users, user_key(event.user))
  answer.failures = by_user
  if failures(addresses, event.src) >= most_by_address then
    answer.verdict, answer.reason, answer.retry_after = "deny", "login-address", 600
  elseif by_user >= most_by_user then
    answer.verdict, answer.reason, answer.retry_after = "deny", "login-user", 60
  else
    answer.verdict = "allow"
  end
end)

stickmesh.on_message("login_failed", function(event)
  stickmesh.metric("failed logins")
  if event.user then
    users:track(user_key(event.user), { gpc0_rate = 1 })
  end
  if event.src then
    addresses:track(event.src, { gpc0_rate = 1 })
  end
end)
