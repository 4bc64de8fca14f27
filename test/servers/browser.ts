/** What a person does in a browser who agrees to everything: follows redirects and fills in forms, until a page has no form. Returns that page. */
export async function agree(address: string): Promise<string> {
  const cookies = new Map<string, string>()
  let url = address
  let form: URLSearchParams | undefined
  for (let steps = 0; steps < 20; steps++) {
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(pair => pair.join('=')).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    })
    for (const cookie of answer.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';')
      const [name = '', value = ''] = pair.split('=')
      cookies.set(name, value)
    }
    const page = await answer.text()
    form = undefined
    const next = answer.headers.get('location')
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1]
    if (next !== null) url = new URL(next, url).href
    else if (action === undefined) return page
    else {
      url = new URL(action, url).href
      const inputs = [...page.matchAll(/<input[^>]*name="([^"]+)"[^>]*>/g)]
      form = new URLSearchParams()
      for (const [tag, name = ''] of inputs) form.append(name, /value="([^"]*)"/.exec(tag)?.[1] ?? 'acme')
    }
  }
  throw new Error(`it never ends: ${url}`)
}
