// Amounts as the services write them. Not by Intl: its decimals are not Stripe's for every currency.

// `amount` in minor units; `form` says what the page's data attributes say of the currency.
export function money(amount, { prefix, exponent, group }) {
  const digits = String(Math.abs(amount)).padStart(exponent + 1, "0");
  let whole = digits.slice(0, digits.length - exponent);
  const decimals = digits.slice(digits.length - exponent);
  const groups = [];
  for (let size = 3; whole.length > 0; size = group) {
    groups.unshift(whole.slice(-size));
    whole = whole.slice(0, -size);
  }
  return (amount < 0 ? "-" : "") + prefix + groups.join(",") + (decimals && "." + decimals);
}
