// Comforts only: the page does the same without them, by plain forms.
const field = id => document.getElementById(id)
const [number, expiry, name] = ['number', 'expiry', 'name'].map(field)

// A test card is filled in at once, without asking the server.
for (const chip of document.querySelectorAll('button[name=fill]')) {
  chip.addEventListener('click', event => {
    event.preventDefault()
    number.value = chip.dataset.number
    expiry.value = '12 / 34'
    field('cvc').value = chip.dataset.cvc
    name.value ||= 'Test Shopper'
    for (const input of [number, expiry, field('cvc'), name]) {
      input.removeAttribute('aria-invalid')
      input.closest('.field').classList.remove('wrong')
      input.parentElement.querySelector('.mistake')?.remove()
    }
    field('filled').textContent = `Filled in: ${chip.textContent.trim()}`
  })
}

// Groups of four and a stroke, while typing at the end; whoever edits in the middle is left alone.
const atEnd = input => input.selectionStart === input.value.length
number.addEventListener('input', () => {
  const digits = number.value.replace(/[^0-9]/g, '')
  if (!atEnd(number) || /[^0-9 ]/.test(number.value)) return
  const amex = /^3[47]/.test(digits)
  number.value = (amex
    ? [digits.slice(0, 4), digits.slice(4, 10), digits.slice(10)].filter(Boolean)
    : digits.match(/.{1,4}/g) ?? []).join(' ')
})
expiry.addEventListener('input', event => {
  const digits = expiry.value.replace(/[^0-9]/g, '')
  const erasing = event.inputType?.startsWith('delete')
  if (erasing || !atEnd(expiry) || digits.length < 2 || /^.?\//.test(expiry.value)) return
  expiry.value = `${digits.slice(0, 2)} / ${digits.slice(2)}`
})

// One payment for one press, however impatient; the way back shows a page that works again.
const form = number.form
form.addEventListener('submit', event => {
  if (form.dataset.sent) event.preventDefault()
  form.dataset.sent = 'yes'
})
addEventListener('pageshow', () => delete form.dataset.sent)
