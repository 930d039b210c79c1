import createClient from 'openapi-fetch'
import type { components, paths } from './schema'

export type Schemas = components['schemas']

// A page of another site may not send this header, so a request that has it is ours.
export const consoleHeader = { 'Hishub-Console': '1' }

export const api = createClient<paths>({ baseUrl: '', headers: consoleHeader })

/** Problem is an answer of the API that is not what was asked for. */
export class Problem extends Error {
  readonly status: number
  readonly kind: string
  readonly detail: string
  readonly words: string
  readonly incident: string
  readonly errors: { field: string; what: string }[]

  constructor(status: number, body: unknown) {
    const b = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
    const text = (name: string) => (typeof b[name] === 'string' ? (b[name] as string) : '')
    super(text('title') || `HTTP ${status}`)
    this.status = status
    this.kind = text('type').replace('/problems/', '')
    this.detail = text('detail')
    this.words = text('words')
    this.incident = text('incident')
    const errors = Array.isArray(b.errors) ? (b.errors as Record<string, unknown>[]) : []
    this.errors = errors.map((e) => ({ field: String(e.field ?? ''), what: String(e.what ?? '') }))
  }
}

/** ok gives the content of a successful answer, and throws a Problem for any other. */
export async function ok<T>(asked: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await asked
  if (!response.ok) throw new Problem(response.status, error)
  return data as T
}
