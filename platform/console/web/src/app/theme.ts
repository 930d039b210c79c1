import { createContext, useContext, useEffect, useState } from 'react'

export type Look = 'light' | 'dark' | 'system'

export const LookContext = createContext<{ look: Look; dark: boolean; choose: (l: Look) => void }>({
  look: 'system',
  dark: false,
  choose: () => undefined,
})

export const useLook = () => useContext(LookContext)

const kept = (name: string) => {
  try {
    return localStorage.getItem(name)
  } catch {
    return null // a browser that keeps nothing
  }
}

const keep = (name: string, value: string) => {
  try {
    localStorage.setItem(name, value)
  } catch {
    /* it is forgotten */
  }
}

/** useKept is a choice that this browser remembers. */
export function useKept<T extends string>(name: string, usual: T, all: readonly T[]): [T, (v: T) => void] {
  const [value, set] = useState<T>(() => {
    const v = kept(name) as T | null
    return v !== null && all.includes(v) ? v : usual
  })
  return [
    value,
    (v) => {
      keep(name, v)
      set(v)
    },
  ]
}

/** useDark says whether it is dark, by choice or by the system. */
export function useDark(look: Look): boolean {
  const [system, set] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches)
  useEffect(() => {
    const m = matchMedia('(prefers-color-scheme: dark)')
    const changed = () => set(m.matches)
    m.addEventListener('change', changed)
    return () => m.removeEventListener('change', changed)
  }, [])
  return look === 'system' ? system : look === 'dark'
}
