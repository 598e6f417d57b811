-- A cart of two products, of another user each time: with prices, which payment.js believes.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local user = 0
request = function()
  user = user + 1
  return wrk.format(nil, nil, nil, string.format(
    '{"userId": "user-%d", "cart": [{"id": "phone", "name": "Nova 5G", "quantity": 1, "price": 18999},'
    .. ' {"id": "chai", "name": "Masala chai", "quantity": 2, "price": 249}]}', user))
end
