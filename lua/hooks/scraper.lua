-- Scrapers: a client that reads very many different pages within a while, however slowly it asks for each.
--
--   [[table]]
--   name = "scraper_pages"
--   define = "type string len 64 size 1m expire 10m store gpc0"
--   [[table]]
--   name = "scraper_clients"
--   define = "type string len 64 size 100k expire 20m store gpc0_rate(10m)"
--
-- Message: `page` (arguments src=src,ipmask(32,64) and path), which is answered with pages, how many different ones the client
-- has read, and a verdict, with reason (scraper) and retry_after when it is deny.

local most_pages = 300 -- within the period of scraper_clients, which is the life of a page

local pages = stickmesh.table("scraper_pages")
local clients = stickmesh.table("scraper_clients")

stickmesh.on_message("page", function(event, answer)
  local client, path = event.src, event.path
  if not client or not path then
    return
  end
  local page = client .. " " .. stickmesh.hash(path)
  local count
  if pages:lookup(page) then
    local known = clients:lookup(client)
    count = known and known.gpc0_rate or 0
  else
    pages:track(page, { gpc0 = 1 })
    count = clients:track(client, { gpc0_rate = 1 }).gpc0_rate
  end
  answer.pages = count
  if count > most_pages then
    answer.verdict, answer.reason, answer.retry_after = "deny", "scraper", 600
  else
    answer.verdict = "allow"
  end
end)
