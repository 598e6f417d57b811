-- A cart, of another user each time.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local user = 0
request = function()
  user = user + 1
  return wrk.format(nil, nil, nil, string.format('{cart}', user))
end
