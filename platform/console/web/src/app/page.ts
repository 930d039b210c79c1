import type { ComponentType, LazyExoticComponent, ReactNode } from 'react'
import type { Texts } from './texts'

/**
 * Page is what a folder of src/pages exports from its page.tsx. The folder alone makes the
 * page: menu, route, right and shortcut come from here.
 */
export interface Page {
  /** Below /console/; unique. "" is where people arrive. */
  path: string
  /** Pressed after g it leads here; unique; "" has none. */
  letter: string
  /** Heading in the menu. */
  group: 'work' | 'hospitals' | 'money' | 'clinic' | 'security'
  /** Place in the menu. */
  order: number
  /** What the person must be able to do somewhere to see it: "hub:read", "clinic:watch"; any of them. */
  rights: string[]
  icon: ReactNode
  /** The dictionaries; their key "menu" is its name. */
  texts: Texts<'menu'>
  component: LazyExoticComponent<ComponentType>
  /** Pages below it that have no place in the menu: ":id" and so on. */
  below?: { path: string; component: LazyExoticComponent<ComponentType> }[]
}

const found = import.meta.glob<{ page: Page }>('../pages/*/page.tsx', { eager: true })

/** All pages, in the order of the menu. */
export const pages: Page[] = Object.values(found)
  .map((m) => m.page)
  .sort((a, b) => a.order - b.order)
