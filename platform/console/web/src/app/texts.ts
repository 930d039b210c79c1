import { createContext, useContext } from 'react'

export type Language = 'zh' | 'en'

export const LanguageContext = createContext<{ language: Language; choose: (l: Language) => void }>({
  language: 'zh',
  choose: () => undefined,
})

type Words = Record<string, string>

/** Texts are the two dictionaries of a page: zh.json and en.json beside it, with the same keys. */
export interface Texts<K extends string = string> {
  zh: Record<K, string>
  en: Record<K, string>
}

export type Say<K extends string = string> = (key: K, values?: Record<string, string | number>) => string

const fill = (text: string, values?: Record<string, string | number>) =>
  values ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)) : text

/** useTexts says a page's texts in the language that the person chose. */
export function useTexts<Z extends Words>(texts: { zh: Z; en: Record<keyof Z & string, string> }): Say<keyof Z & string> {
  const { language } = useContext(LanguageContext)
  const of: Words = texts[language]
  return (key, values) => fill(of[key] ?? key, values)
}

export const useLanguage = () => useContext(LanguageContext)

/** locale for dates and numbers. */
export const localeOf = (l: Language) => (l === 'zh' ? 'zh-CN' : 'en-GB')
