-- What the two of them ask Stripe.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "Bearer sk_test_bench"
wrk.body = "mode=payment&success_url=http%3A%2F%2F127.0.0.1%3A3000%2Fsuccess&metadata[userId]=user"
  .. "&line_items[0][quantity]=1&line_items[0][price_data][currency]=inr"
  .. "&line_items[0][price_data][unit_amount]=1899900&line_items[0][price_data][product_data][name]=Nova"
