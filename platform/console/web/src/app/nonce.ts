// Styles that are made while the app runs carry the nonce of this page's policy. antd is
// told it (ConfigProvider csp), but what measures scroll bars for it is not: so every
// style element gets it here, before anything else runs.
export const nonce = document.querySelector('meta[name=nonce]')?.getAttribute('content') ?? ''

const create = document.createElement.bind(document)

document.createElement = ((name: string, options?: ElementCreationOptions) => {
  const made = create(name, options)
  if (made instanceof HTMLStyleElement) made.nonce = nonce
  return made
}) as typeof document.createElement
