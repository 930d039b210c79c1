import { TeamOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'people',
  letter: 'e',
  group: 'security',
  order: 92,
  rights: ['clinic:staffing'],
  icon: <TeamOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./People')),
}
