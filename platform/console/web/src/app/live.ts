import { useSyncExternalStore } from 'react'
import type { Schemas } from '../api/client'

export type Light = Schemas['LiveHospital']

export interface Live {
  /** of the last news; undefined before the first. */
  at?: Date
  connected: boolean
  /** nobody was at the keyboard for long, so that the session may end by itself. */
  resting: boolean
  lights: Light[]
}

// rest is shorter than a session without use lasts: a forgotten tab keeps nobody signed in.
const rest = 15 * 60_000

let now: Live = { connected: false, resting: false, lights: [] }
let source: EventSource | undefined
let touched = Date.now()
let watch: ReturnType<typeof setInterval> | undefined
const listeners = new Set<() => void>()

function tell(change: Partial<Live>) {
  now = { ...now, ...change }
  listeners.forEach((l) => l())
}

function take(e: MessageEvent<string>) {
  const news = JSON.parse(e.data) as Schemas['LiveNews']
  const by = new Map(news.all ? [] : now.lights.map((l) => [l.id, l]))
  for (const l of news.hospitals) by.set(l.id, l)
  for (const id of news.gone) by.delete(id)
  tell({ at: new Date(news.at), connected: true, lights: [...by.values()] })
}

function open() {
  source = new EventSource('/v1/live')
  source.addEventListener('lights', take as (e: Event) => void)
  source.onerror = () => {
    tell({ connected: false })
    // The browser tries again by itself unless it was told that it may not.
    if (source?.readyState === EventSource.CLOSED && listeners.size > 0) {
      const gone = source
      setTimeout(() => {
        if (source === gone && listeners.size > 0) open()
      }, 5000)
    }
  }
}

function close() {
  source?.close()
  source = undefined
}

function touch() {
  touched = Date.now()
  if (now.resting) {
    tell({ resting: false })
    open()
  }
}

const signs = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const

function listen(l: () => void) {
  listeners.add(l)
  if (listeners.size === 1) {
    touched = Date.now()
    now = { connected: false, resting: false, lights: [] }
    signs.forEach((s) => addEventListener(s, touch, { passive: true }))
    watch = setInterval(() => {
      if (!now.resting && Date.now() - touched > rest) {
        close()
        tell({ resting: true, connected: false })
      }
    }, 10_000)
    open()
  }
  return () => {
    listeners.delete(l)
    if (listeners.size === 0) {
      clearInterval(watch)
      signs.forEach((s) => removeEventListener(s, touch))
      close()
    }
  }
}

/** useLive gives the hospitals' lights, as they change; one connection for all who look. */
export const useLive = (): Live => useSyncExternalStore(listen, () => now)
