import { DashboardOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: '',
  letter: 'o',
  group: 'work',
  order: 10,
  rights: ['hub:read'],
  icon: <DashboardOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Overview')),
}
