import { CalendarOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'schedules',
  letter: 's',
  group: 'clinic',
  order: 80,
  rights: ['clinic:plan_clinics'],
  icon: <CalendarOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Schedules')),
}
