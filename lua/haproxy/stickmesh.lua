-- stickmesh in HAProxy, 2.4 and later, built with Lua 5.3 or later. Loaded once, without effect until a rule uses it:
--
--     global
--         lua-load-per-thread /usr/share/stickmesh/haproxy/stickmesh.lua
--
--     http-request  lua.stickmesh_enforce open|closed|shadow
--     http-request  lua.stickmesh_limit TABLE TYPE LIMIT KEYVAR open|closed|shadow
--     http-response lua.stickmesh_report USE
--
-- README says what each does. A rule cannot know that a script failed: HAProxy goes on with the next one. So whoever
-- wants to refuse then, too, puts a plain rule behind: deny unless { var(txn.stickmesh.enforced) -m found }.
--
-- There is a state for each thread: what is `local` here exists once in each. Nothing global is defined.

local EVENTS = os.getenv("STICKMESH_EVENTS") or "127.0.0.1:10302"
-- The uses of SPOE messages whose verdicts count: `track-api` answers with api.verdict. By default those of the
-- packaged spoe-stickmesh.conf.
local USES = os.getenv("STICKMESH_USES") or "ip api login session"
-- A reply of Lua runs the rules of http-after-response at once, and Lua in these cannot run inside of Lua: the reply would
-- be cut short. So it is either of them: set, there is stickmesh_report after the response, and refusals are HAProxy's 403.
local AFTER_RESPONSE = os.getenv("STICKMESH_AFTER_RESPONSE")

local QUEUE = 4096       -- events that wait at a thread; one more is dropped
local BATCH = 64         -- lines that are sent at once
local LONGEST_KEY = 1024 -- bytes; tables have shorter ones
local IDLE = 5           -- seconds without an event, after which a connection is closed
local WAIT, LONGEST_WAIT = 50, 5000 -- ms between attempts to connect

-- Without an error where a function or a proxy is missing: what is there differs from version to version, and a
-- mistyped table is only found when it is read.
local function try(...)
  local worked, result = pcall(...)
  if worked then return result end
  return nil, result
end

local told = {}
local function tell_once(text)
  if told[text] then return end
  told[text] = true
  core.log(core.warning, "stickmesh.lua: " .. text)
end

-- Booleans come as numbers unless tune.lua.bool-sample-conversion is `normal`.
local function yes(value) return value == true or value == 1 end

-- ---- what was decided, in one word for the log line

-- Of two actions on a request, the word of the one that had more to say stays.
local RANK = {}
for rank, word in ipairs({ "allowed", "nodata-open", "noagent-open", "nodata-shadow", "noagent-shadow", "would-deny",
  "nodata-closed", "noagent-closed", "denied" }) do
  RANK[word] = rank
end

local function say(txn, word)
  local before = RANK[txn:get_var("txn.stickmesh.enforced")] or 0
  if RANK[word] > before then txn:set_var("txn.stickmesh.enforced", word) end
end

-- A reply does not return: the request ends here. TCP has none.
local function refuse(txn, http, status, reason, retry_after)
  if not http or AFTER_RESPONSE then return act.DENY end
  local headers = { ["content-type"] = { "text/plain" }, ["cache-control"] = { "no-cache" } }
  if retry_after then headers["retry-after"] = { tostring(retry_after) } end
  txn:done(txn:reply({ status = status, reason = reason, headers = headers, body = status .. " " .. reason .. "\n" }))
  return act.DENY
end

local function deny(txn, http, mode, retry_after)
  if mode == "shadow" then
    say(txn, "would-deny")
    return act.CONTINUE
  end
  say(txn, "denied")
  return refuse(txn, http, 429, "Too Many Requests", retry_after)
end

-- |what|: "noagent" or "nodata".
local function without(txn, http, mode, what)
  say(txn, what .. "-" .. mode)
  if mode == "closed" then return refuse(txn, http, 503, "Service Unavailable") end
  return act.CONTINUE
end

-- Another word than these is most likely meant to be safe.
local function mode_of(word)
  if word == "open" or word == "closed" or word == "shadow" then return word end
  tell_once("'" .. word .. "' is none of open, closed and shadow: taken for closed")
  return "closed"
end

-- ---- enforce: what the agent has answered

local prefixes = { "txn.stickmesh." }
for use in USES:gmatch("[^%s,]+") do
  prefixes[#prefixes + 1] = "txn.stickmesh." .. use:gsub("[^%w._]", "_") .. "."
end

local function enforce(txn, http, word)
  local mode = mode_of(word)
  if not yes(txn:get_var("txn.stickmesh.ok")) then return without(txn, http, mode, "noagent") end
  local denied, longest = false, nil
  for _, prefix in ipairs(prefixes) do
    if txn:get_var(prefix .. "verdict") == "deny" then
      denied = true
      local wait = tonumber(txn:get_var(prefix .. "retry_after"))
      if wait and (not longest or wait > longest) then longest = wait end
    end
  end
  if denied then return deny(txn, http, mode, longest) end
  say(txn, "allowed")
  return act.CONTINUE
end

-- ---- limit: what stick tables say, whether or not the agent lives

-- A number, or nothing where the table does not exist, stores no such type, or takes no such key.
local function read(txn, kind, name, key)
  local value, problem = try(txn.c["table_" .. kind], txn.c, key, name)
  if problem then tell_once("table " .. name .. ", " .. kind .. ": " .. tostring(problem)) end
  value = tonumber(value)
  -- What is tracked as an IPv4 address in a table of IPv6 ones is not found there as a string: nothing, or, in later
  -- versions, 0.
  if not problem and (not value or value == 0) and key:find("^%d+%.%d+%.%d+%.%d+$") then
    value = tonumber(try(txn.c["table_" .. kind], txn.c, "::ffff:" .. key, name)) or value
  end
  return value
end

local function limit(txn, http, name, kind, written, variable, word)
  local mode = mode_of(word)
  local section, own = name:match("^(.*/)([^/]*)$")
  if not section then section, own = "", name end
  if not variable:find(".", 1, true) then variable = "txn." .. variable end
  local key = txn:get_var(variable)
  if key == nil then return without(txn, http, mode, "nodata") end
  key = tostring(key)

  local above = tonumber(written)
  if not above then
    above = read(txn, "gpt0", section .. "limits", written)
    -- No row: there is no such limit, or no agent that says so.
    if not above or above <= 0 then return without(txn, http, mode, "nodata") end
    if read(txn, "gpc0", section .. "limits", written) == 1 then mode = "shadow" end
  end
  local largest = read(txn, kind, name, key)
  if not largest then return without(txn, http, mode, "nodata") end
  local current = read(txn, "gpt0", section .. "stickmesh", own .. ".total")
  if current and current > core.now().sec then
    local total = read(txn, kind, name .. ".total", key)
    if total and total > largest then largest = total end
  end
  if largest > above then return deny(txn, http, mode) end
  say(txn, "allowed")
  return act.CONTINUE
end

-- ---- report: events for the agent, later

local queue, head, tail = {}, 1, 0
local counts = { sent = 0, dropped = 0, lost = 0, connects = 0, failures = 0 }
local state = "idle"

local function push(line)
  if tail - head + 1 >= QUEUE then
    counts.dropped = counts.dropped + 1
    return "dropped"
  end
  tail = tail + 1
  queue[tail] = line
  return "queued"
end

local function encoded(text)
  return (text:gsub("[^%w._:~-]", function(c) return string.format("%%%02X", c:byte()) end))
end

-- What counts for a use when no rule says anything else: the table is called like the use.
local function increments(use, status)
  if use == "login" and (status == 401 or status == 403) then return "login gpc0=1 gpc0_rate=1" end
  if use ~= "errors" or not status then return nil end
  if status >= 500 then return "errors http_fail_cnt=1 http_fail_rate=1" end
  if status >= 400 then return "errors http_err_cnt=1 http_err_rate=1" end
end

local function report(txn, use)
  local what = txn:get_var("txn.stickmesh.report")
  if what == nil then
    -- On the request there is none yet.
    what = increments(use, tonumber(try(txn.f.status, txn.f)))
  end
  if what == nil then return act.CONTINUE end
  -- What a rule has put together of a request must not become another line.
  local name, types = tostring(what):match("^([%w_.:/-]+) ([%w_= ]+)$")
  local key = txn:get_var("txn.stickmesh.report_key")
  if key == nil then key = try(txn.sf.src, txn.sf) end
  if not name or key == nil or key == "" then
    txn:set_var("txn.stickmesh.reported", "invalid")
    if not name then tell_once("txn.stickmesh.report is not as in 'table gpc0=1'") end
    return act.CONTINUE
  end
  key = encoded(tostring(key):sub(1, LONGEST_KEY))
  local line = "track " .. name:match("[^/]*$") .. " " .. key .. " " .. types .. "\n"
  txn:set_var("txn.stickmesh.reported", push(line))
  return act.CONTINUE
end

-- Other threads cannot be asked: each writes its numbers, once a second, where all can read. A map without a file is
-- only there since 3.0; this one is always empty.
local BOARD = "/dev/null"
local board = try(Map.new, BOARD, Map._str)

local function summary()
  return string.format("%s\t%d\t%d\t%d\t%d\t%d\t%d", state, tail - head + 1, counts.sent, counts.dropped, counts.lost,
    counts.connects, counts.failures)
end

local published, published_at = nil, 0
local function publish()
  local now = core.now().sec
  if not board or now == published_at then return end
  published_at = now
  local text = summary()
  if text == published then return end
  published = text
  try(core.set_map, BOARD, "stickmesh-thread-" .. core.thread, text)
end

local function pause(ms)
  publish()
  core.msleep(ms)
end

-- The agent says nothing; what comes is its end. Whoever only sends would not notice, and the next lines were lost.
local function watch(socket)
  local link = { up = true }
  core.register_task(function()
    while socket:receive("*l") do end
    link.up = false
  end)
  return link
end

-- Sends until the connection ends or is of no use for a while. It has no timeout of its own: one would end it when it
-- is merely idle. An agent that hangs costs what the queue holds.
local function serve(socket)
  local sleep, last, link = 5, core.now().sec, watch(socket)
  while link.up do
    if head > tail then
      if core.now().sec - last > IDLE then return end
      pause(sleep)
      sleep = math.min(sleep * 2, 100)
    else
      local first, size = head, math.min(tail - head + 1, BATCH)
      local lines = table.concat(queue, "", first, first + size - 1)
      for at = first, first + size - 1 do queue[at] = nil end
      head = first + size
      -- Nobody knows how much of what failed has arrived: sent again, it could be counted twice.
      if socket:send(lines) ~= #lines then
        counts.lost = counts.lost + size
        return
      end
      counts.sent = counts.sent + size
      sleep, last = 5, core.now().sec
      publish()
    end
  end
end

local function ship()
  local wait, sleep = WAIT, 5
  while true do
    if head > tail then
      state = "idle"
      pause(sleep)
      sleep = math.min(sleep * 2, 200)
    else
      sleep, state = 5, "connecting"
      publish()
      local socket = core.tcp()
      local connected, problem = try(socket.connect, socket, EVENTS)
      if problem then tell_once("STICKMESH_EVENTS " .. EVENTS .. ": " .. tostring(problem)) end
      if connected then
        counts.connects = counts.connects + 1
        state, wait = "connected", WAIT
        serve(socket)
      else
        counts.failures = counts.failures + 1
        state = "waiting"
      end
      socket:close()
      if state == "waiting" then
        -- Threads that failed together do not come back together.
        pause(math.floor(wait * (0.5 + math.random() / 2)))
        wait = math.min(wait * 2, LONGEST_WAIT)
      end
    end
  end
end

local function show(applet)
  local threads = math.floor(tonumber(core.get_info().Nbthread) or 1)
  applet:send("Events: " .. EVENTS .. "\n# thread\tstate\tqueued\tsent\tdropped\tlost\tconnects\tfailures\n")
  for thread = 1, threads do
    local text = thread == core.thread and summary() or board and try(board.lookup, board, "stickmesh-thread-" .. thread)
    applet:send(thread .. "\t" .. (text or "unknown\t-\t-\t-\t-\t-\t-") .. "\n")
  end
end

-- ---- where each may be used; a version that lacks a ruleset raises an error for it

for where, http in pairs({ ["http-req"] = true, ["tcp-req"] = false }) do
  try(core.register_action, "stickmesh_enforce", { where }, function(txn, mode) return enforce(txn, http, mode) end, 1)
  try(core.register_action, "stickmesh_limit", { where }, function(txn, name, kind, above, key, mode)
    return limit(txn, http, name, kind, above, key, mode)
  end, 5)
end
for _, where in ipairs({ "http-req", "http-res", "tcp-req", AFTER_RESPONSE and "http-after-res" }) do
  try(core.register_action, "stickmesh_report", { where }, report, 1)
end
core.register_task(ship)
core.register_cli({ "show", "stickmesh" }, "show stickmesh : events of stickmesh.lua, by thread", show)
