// New mails appear by themselves, and times are the reader's own. Without it the page is the same
// list, as new as its loading.
const PAUSE_MS = 1500
const PAUSE_MS_MAX = 15000
const list = () => document.getElementById('mails')
const open = document.querySelector('.mails a[aria-current]')?.id.slice(2) ?? ''
const subject = document.title.replace(/^\(\d+\) /, '')
const short = new Intl.DateTimeFormat(undefined, {
  day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit'
})

const localTimes = () => {
  for (const time of document.querySelectorAll('time')) time.textContent = short.format(new Date(time.dateTime))
}

const show = html => {
  const focused = document.activeElement?.id
  const was = list().dataset.count
  const fresh = new DOMParser().parseFromString(html, 'text/html').getElementById('mails')
  list().replaceWith(document.adoptNode(fresh))
  if (focused?.startsWith('m-')) document.getElementById(focused)?.focus({ preventScroll: true })
  const { count, unread } = list().dataset
  if (count !== was) document.getElementById('count').textContent = count
  document.title = (unread > 0 ? `(${unread}) ` : '') + subject
  localTimes()
}

let pause = PAUSE_MS
const look = async () => {
  // Nobody looks: nothing is asked for until somebody does.
  if (document.hidden) return document.addEventListener('visibilitychange', look, { once: true })
  const query = new URLSearchParams(location.search)
  query.set('seen', list().dataset.revision)
  query.set('open', open)
  try {
    const answer = await fetch(`/rows?${query}`)
    if (!answer.ok) throw new Error(answer.statusText)
    if (answer.status === 200) show(await answer.text())
    pause = PAUSE_MS
  } catch {
    document.getElementById('count').textContent = 'The inbox does not answer; trying again.'
    list().dataset.revision = ''
    list().dataset.count = ''
    pause = Math.min(pause * 2, PAUSE_MS_MAX)
  }
  setTimeout(look, pause)
}

localTimes()
setTimeout(look, pause)
