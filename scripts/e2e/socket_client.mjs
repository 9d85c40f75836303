// A chat over the router's WebSocket: by npm's ws, or in a page of a browser.
// socket_client.mjs ws|browser URL MODULES CHROMIUM KEY: prints JSON.
import { createRequire } from 'node:module'
import { createServer } from 'node:http'

const [how, url, modules, chromium, key] = process.argv.slice(2)
const require = createRequire(modules + '/')

// chat runs where there is a WebSocket: it may refer to nothing outside.
const chat = (Socket, url, key) => new Promise((resolve, reject) => {
  const socket = new Socket(url, ['penstock.v1', 'bearer.' + key])
  const got = { protocol: null, tokens: 0, answers: 0, ids: {}, errors: [] }
  const ask = (content) => ({ model: 'llama2', messages: [{ role: 'user', content }], max_tokens: 12, stream: true })
  socket.onopen = () => { got.protocol = socket.protocol; socket.send(JSON.stringify(ask('one'))) }
  socket.onerror = (e) => reject(new Error(e.message || 'the socket failed'))
  socket.onclose = (e) => resolve({ ...got, code: e.code })
  socket.onmessage = (e) => {
    if (e.data === '[DONE]') {
      if (++got.answers === 1) return socket.send(JSON.stringify(ask('two'))) // on the same connection
      socket.send('this is no JSON')
      for (const id of ['a', 'b']) socket.send(JSON.stringify({ id, request: ask(id) }))
      return
    }
    const m = JSON.parse(e.data)
    if (m.error) return got.errors.push(m.error.status)
    if ('data' in m) { // of a request with an id
      got.ids[m.id] = (got.ids[m.id] || 0) + 1
      if (m.data === '[DONE]') got.ids[m.id + ' done'] = true
      if (got.ids['a done'] && got.ids['b done']) socket.close(1000)
      return
    }
    if (m.choices?.[0]?.delta?.content) got.tokens++
  }
})

if (how === 'ws') {
  console.log(JSON.stringify(await chat(require('ws'), url, key)))
} else {
  const page = createServer((_, res) => res.end('<!doctype html><title>chat</title>')).listen(0, '127.0.0.1')
  await new Promise((r) => page.once('listening', r))
  const browser = await require('playwright-core').chromium.launch({ executablePath: chromium, args: ['--no-sandbox'] })
  try {
    const tab = await browser.newPage()
    await tab.goto(`http://127.0.0.1:${page.address().port}/`)
    console.log(JSON.stringify(await tab.evaluate(`(${chat})(WebSocket, ${JSON.stringify(url)}, ${JSON.stringify(key)})`)))
  } finally {
    await browser.close()
    page.close()
  }
}
