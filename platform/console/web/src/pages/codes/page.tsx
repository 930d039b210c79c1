import { TagsOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'codes',
  letter: 'u',
  group: 'hospitals',
  order: 45,
  rights: ['hub:read'],
  icon: <TagsOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Codes')),
}
